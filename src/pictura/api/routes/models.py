"""Models that can paint, and prompts as they are typed."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from pictura.api.asking.models import has_alpha
from pictura.api.deps import Reader, StudioDep
from pictura.api.schemas.native import (
    ModelList,
    ModelTold,
    PromptAsked,
    PromptMistake,
    PromptRead,
    PromptTold,
)
from pictura.core.errors import PromptError
from pictura.prompt.grammar import num_jobs, parse
from pictura.prompt.printing import to_text
from pictura.store.models import default_name

router = APIRouter(tags=["models and prompts"])


@router.get("/models")
def list_models(studio: StudioDep, who: Reader) -> ModelList:
    """All models that can paint here."""
    default = default_name()
    return ModelList(
        items=[
            ModelTold(
                name=model.path.name,
                family=model.family,
                is_default=model.path.name == default,
                licence=model.licence,
                size_mb=model.size_mb,
                transparent=has_alpha(model),
                sampling=model.sampling.table(),
                metrics=dict(model.metrics),
            )
            for model in studio.models.painters()
        ]
    )


@router.post("/prompts/parse")
def parse_prompt(body: PromptAsked, who: Reader) -> PromptTold:
    """Read a prompt without painting it: what it asks for, or what is wrong with it and where."""
    try:
        prompts = parse(body.prompt, max_jobs=body.max_jobs)
    except PromptError as error:
        where: dict[str, Any] = {name: getattr(error, name, None) for name in ("column", "found", "expected")}
        return PromptTold(ok=False, error=PromptMistake(message=str(error), **where))
    return PromptTold(
        ok=True,
        num_jobs=num_jobs(prompts),
        prompts=[
            PromptRead(
                parts=list(prompt.shares()), parameters=asdict(prompt.parameters), text=to_text(prompt)
            )
            for prompt in prompts
        ],
    )
