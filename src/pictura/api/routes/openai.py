"""OpenAI's Images API: generations, edits, variations, models; with streams of partial pictures."""

import base64
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from pictura.api.access import entry
from pictura.api.access.accounts import Who
from pictura.api.asking.forms import EDIT_FORM, VARIATION_FORM, Form, read_form
from pictura.api.asking.models import has_alpha
from pictura.api.asking.uploads import Upload, check_number, mask_of_alpha, prepared, read, said_in
from pictura.api.asking.wishes import Wish, resolve
from pictura.api.deps import Painter, Reader, StudioDep
from pictura.api.routes.jobs import fingerprint
from pictura.api.schemas.openai import (
    EditAsked,
    GenerationAsked,
    OpenAIError,
    OpenAIModel,
    OpenAIModels,
    Picture,
    Pictures,
    Usage,
    VariationAsked,
)
from pictura.api.studio import Studio
from pictura.api.telling import pictures, sse, waiting
from pictura.api.telling.pictures import Background, Format
from pictura.core.errors import ConfigError, SizeError
from pictura.store.models import ModelInfo
from pictura.store.tables import Event, Image, Job

router = APIRouter(prefix="/v1", tags=["OpenAI"], responses={"4XX": {"model": OpenAIError}})
URL_S = 3600.0
"""How long the address of a picture opens it."""
CHANGED, VARIED = 0.7, 0.6
"""How much of a picture is given up for an edit without a mask, and for a variation."""
UNKNOWN = "picture"
"""The prompt of a variation of a picture that does not say what it shows."""
_QUALITY = {"low": 0.5, "high": 2.0, "hd": 2.0}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Pictures,
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "description": "Pictures; with stream, events.",
    }
}
Key = Annotated[str | None, Header(max_length=255)]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Form:
    """How the pictures shall be handed out."""

    kind: Literal["image_generation", "image_edit"]
    format: Format
    background: Background
    compression: int | None
    by_url: bool
    quality: str


@router.post("/images/generations", response_model=None, responses=_ANSWER)
async def generate(
    body: GenerationAsked, request: Request, studio: StudioDep, who: Painter, idempotency_key: Key = None
) -> Response | Pictures:
    """Paint pictures of a prompt, which may be written in the prompt language."""
    form = _form(body, "image_generation")
    wish = Wish(
        prompt=body.prompt,
        model=body.model,
        foreign_names=True,
        num_images=body.n or 1,
        seed=body.seed,
        size=_size(body.size),
        quality=_QUALITY.get(body.quality or ""),
        raw=body.style == "natural",
        num_previews=(body.partial_images or 0) if body.stream else 0,
        via="openai",
    )
    job = await run_in_threadpool(_submit, studio, who, wish, form, idempotency_key, body.model_dump())
    return await _answered(studio, request, who, job, form, bool(body.stream))


@router.post("/images/edits", response_model=None, responses=_ANSWER, openapi_extra=EDIT_FORM)
async def edit(
    request: Request, studio: StudioDep, who: Painter, idempotency_key: Key = None
) -> Response | Pictures:
    """Change a picture by a prompt: where the mask is transparent, or all over."""
    async with read_form(request, EditAsked, ("image", "mask")) as (body, files):
        form = _form(body, "image_edit")
        wish = await run_in_threadpool(_edited, studio, body, files)
        asked = {**body.model_dump(), "upload": wish.upload}
    job = await run_in_threadpool(_submit, studio, who, wish, form, idempotency_key, asked)
    return await _answered(studio, request, who, job, form, bool(body.stream))


@router.post("/images/variations", response_model=None, responses=_ANSWER, openapi_extra=VARIATION_FORM)
async def vary(
    request: Request, studio: StudioDep, who: Painter, idempotency_key: Key = None
) -> Response | Pictures:
    """Paint a picture again, differently, by the prompt that it says it was painted by."""
    async with read_form(request, VariationAsked, ("image",)) as (body, files):
        form = _form(body, "image_edit")
        wish = await run_in_threadpool(_varied, studio, body, files)
        asked = {**body.model_dump(), "upload": wish.upload}
    job = await run_in_threadpool(_submit, studio, who, wish, form, idempotency_key, asked)
    return await _answered(studio, request, who, job, form, False)


@router.get("/models")
def list_models(studio: StudioDep, who: Reader) -> OpenAIModels:
    """All models that can paint, and OpenAI's names that they answer to."""
    models = [_model(model.path.name, model) for model in studio.models.painters()]
    names = studio.config.openai_names
    models += [_model(name, studio.models.find(name, foreign=True)) for name in names]
    return OpenAIModels(data=models)


@router.get("/models/{model_id}")
def get_model(model_id: str, studio: StudioDep, who: Reader) -> OpenAIModel:
    """One model."""
    return _model(model_id, studio.models.find(model_id, foreign=True))


def _edited(studio: Studio, body: EditAsked, files: Form) -> Wish:
    upload = _upload(studio, files, _size(body.size))
    return Wish(
        prompt=body.prompt,
        model=body.model,
        foreign_names=True,
        num_images=body.n or 1,
        seed=body.seed,
        size=upload.size,
        quality=_QUALITY.get(body.quality or ""),
        upload=upload,
        noise_level=1.0 if upload.mask else CHANGED,
        num_previews=(body.partial_images or 0) if body.stream else 0,
        via="openai",
    )


def _varied(studio: Studio, body: VariationAsked, files: Form) -> Wish:
    upload = _upload(studio, files, _size(body.size))
    return Wish(
        prompt=body.prompt or upload.prompt or UNKNOWN,
        language=body.prompt is not None,
        model=body.model,
        foreign_names=True,
        num_images=body.n or 1,
        seed=body.seed,
        size=upload.size,
        upload=upload,
        noise_level=VARIED,
        num_previews=0,
        via="openai",
    )


def _upload(studio: Studio, files: Form, size: tuple[int, int] | None) -> Upload:
    images, masks = files["image"], files.get("mask", [])
    check_number(len(images), 1, "pictures in image")
    check_number(len(masks), 1, "pictures in mask")
    most = studio.config.upload_pixels
    image = read(images[0], "image", most)
    mask = mask_of_alpha(read(masks[0], "mask", most)) if masks else None
    prompt = said_in(images[0])[1].get("prompt")
    return prepared(image, mask, size, prompt if isinstance(prompt, str) and prompt.strip() else None)


def _submit(
    studio: Studio, who: Who, wish: Wish, form: _Form, key: str | None, asked: Mapping[str, Any]
) -> Job:
    model = studio.models.find(wish.model or "default", foreign=True)
    if form.background == "transparent" and not has_alpha(model):
        raise ConfigError(
            f"The model {model.path.name!r} paints no transparent pictures. "
            "Ask for background auto, or choose another model."
        )
    found = resolve(wish, who, studio.models, studio.policy.get(), max_jobs=1)
    return studio.submit(found.requests, who, "fast", key, fingerprint(asked))[0]


async def _answered(
    studio: Studio, request: Request, who: Who, job: Job, form: _Form, stream: bool
) -> Response | Pictures:
    if stream:
        return sse.response(_stream(studio, who, job, form), studio.config.ping_s)
    images = await waiting.pictures(studio, request, who, job)
    return await run_in_threadpool(_told, studio, request, job, images, form)


def _told(studio: Studio, request: Request, job: Job, images: list[Image], form: _Form) -> Pictures:
    base = studio.config.public_url or str(request.base_url).rstrip("/")
    data = [
        Picture(url=_address(studio, base, image, form))
        if form.by_url
        else Picture(b64_json=_encoded(studio, image, form))
        for image in images
    ]
    return Pictures(
        created=int(job.created_at),
        data=data,
        background=form.background,
        output_format=form.format,
        quality=form.quality,
        size=f"{images[0].width}x{images[0].height}",
        x_job_id=job.id,
        x_seed=job.request["choices"]["seed"],
    )


async def _stream(studio: Studio, who: Who, job: Job, form: _Form) -> AsyncIterator[str]:
    """Partial pictures as they come, then each whole one; an error ends the stream."""
    told: dict[str, int] = {}
    with studio.stream(who):
        async for event in waiting.events(studio, who, job):
            if event.kind == "preview":
                for index, jpeg in event.payload["jpeg"].items():
                    number = told[index] = told.get(index, -1) + 1
                    yield await run_in_threadpool(_partial, job, form, jpeg, number)
            elif event.kind == "image":
                yield await run_in_threadpool(_completed, studio, job, form, event)
            elif event.kind in ("error", "cancelled"):
                code = event.payload.get("code") or event.kind
                message = event.payload.get("message") or "The job was cancelled."
                kind = "invalid_request_error" if event.kind == "cancelled" else "server_error"
                yield sse.message({"error": {"message": message, "type": kind, "param": None, "code": code}})


def _partial(job: Job, form: _Form, jpeg: str, number: int) -> str:
    data = pictures.reencoded(base64.b64decode(jpeg), form.format)
    width, height = job.request["choices"].get("size", (256, 256))
    told = {
        "type": f"{form.kind}.partial_image",
        "b64_json": base64.b64encode(data).decode(),
        "partial_image_index": number,
        **_facts(form, f"{width}x{height}"),
    }
    return sse.message(told, event=told["type"])


def _completed(studio: Studio, job: Job, form: _Form, event: Event) -> str:
    image = next(one for one in waiting.committed(studio, job.id) if one.id == event.payload["image_id"])
    told = {
        "type": f"{form.kind}.completed",
        "b64_json": _encoded(studio, image, form),
        "usage": Usage().model_dump(),
        "x_job_id": job.id,
        "x_seed": job.request["choices"]["seed"],
        **_facts(form, f"{image.width}x{image.height}"),
    }
    return sse.message(told, event=told["type"])


def _facts(form: _Form, size: str) -> dict[str, Any]:
    return {
        "created_at": int(time.time()),
        "size": size,
        "quality": form.quality,
        "background": form.background,
        "output_format": form.format,
    }


def _encoded(studio: Studio, image: Image, form: _Form) -> str:
    data, _ = pictures.delivered(
        studio,
        image,
        format=form.format,
        background=form.background,
        compression=form.compression,
    )
    return base64.b64encode(data).decode()


def _address(studio: Studio, base: str, image: Image, form: _Form) -> str:
    """An address that opens a picture to whoever has it, for an hour."""
    path = f"/api/v1/images/{image.id}/file"
    more = f"format={form.format}&background={form.background}"
    return f"{base}{entry.signed(studio, path, URL_S)}&{more}"


def _form(body: EditAsked | VariationAsked, kind: Literal["image_generation", "image_edit"]) -> _Form:
    format_: Format = getattr(body, "output_format", None) or "png"
    background: Background = getattr(body, "background", None) or "auto"
    pictures.check_background(format_, background)
    compression = getattr(body, "output_compression", None)
    if compression is not None and format_ == "png":
        raise ConfigError("output_compression is of jpeg and webp; a png loses nothing. Leave it out.")
    stream = bool(getattr(body, "stream", None))
    if stream and body.response_format == "url":
        raise ConfigError("A stream brings pictures as b64_json, not by url; leave response_format out.")
    old = body.model in ("dall-e-2", "dall-e-3") and not stream
    by_url = (body.response_format or ("url" if old else "b64_json")) == "url"
    return _Form(
        kind=kind,
        format=format_,
        background=background,
        compression=compression,
        by_url=by_url,
        quality=getattr(body, "quality", None) or "auto",
    )


def _size(text: str | None) -> tuple[int, int] | None:
    if text in (None, "auto"):
        return None
    match = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", str(text))
    if not match:
        raise SizeError(f"size: expected WIDTHxHEIGHT such as 512x512, or auto; got {text!r}.")
    return int(match[1]), int(match[2])


def _model(name: str, model: ModelInfo) -> OpenAIModel:
    made = model.manifest.get("created", "")
    try:
        created = int(datetime.fromisoformat(made).timestamp())
    except (TypeError, ValueError):
        created = 0
    return OpenAIModel(id=name, created=created, owned_by="pictura")
