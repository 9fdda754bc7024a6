"""What people do with pictures: vary, enlarge, paint on, blend, once more; and what a CLIP says of them."""

from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from pictura.api.access.accounts import Who
from pictura.api.asking.actions import Place, act, blend
from pictura.api.asking.rerolls import reroll
from pictura.api.asking.shown import Shown, of_studio, sent
from pictura.api.deps import Painter, StudioDep
from pictura.api.schemas.actions import (
    ActionAsked,
    BlendAsked,
    DescribeAsked,
    Described,
    RerollAsked,
    ShortenAsked,
    Shortened,
)
from pictura.api.schemas.native import JobsAccepted
from pictura.api.studio import Studio
from pictura.api.telling import reading, waiting
from pictura.core.errors import NotFoundError
from pictura.jobs.values import JobRequest
from pictura.prompt.grammar import parse
from pictura.prompt.printing import to_text
from pictura.prompt.request import Part
from pictura.runtime.rerank import GUIDE
from pictura.store.tables import Image, Job, RatingKind

router = APIRouter(tags=["actions"])


@router.post("/images/{image_id}/actions", status_code=202)
def act_on_image(image_id: str, body: ActionAsked, studio: StudioDep, who: Painter) -> JobsAccepted:
    """Make others of a picture: vary, remix, upscale, region, zoom, pan, square; a child of its job."""
    image = picture(studio, image_id, who)
    request = act(_place(studio, who), image, body.model_dump())
    (job,) = studio.submit([request], who, body.lane)
    kind: RatingKind = "upscale" if body.action == "upscale" else "vary"
    studio.ratings.record(who, kind, image.id, surface=body.surface)
    return _accepted(studio, job)


@router.post("/jobs/{job_id}/reroll", status_code=202)
def reroll_job(job_id: str, body: RerollAsked, studio: StudioDep, who: Painter) -> JobsAccepted:
    """Do a job once more with another seed, and another prompt where one is given."""
    before = studio.queue.get(job_id, who.whose)
    (job,) = studio.submit([reroll(_place(studio, who), before, body.prompt)], who, body.lane)
    studio.ratings.record_job(who, "reroll", before.id, surface=body.surface)
    return _accepted(studio, job)


@router.post("/blend", status_code=202)
def blend_images(body: BlendAsked, studio: StudioDep, who: Painter) -> JobsAccepted:
    """Paint what is between two to five pictures."""
    images = [picture(studio, image_id, who) for image_id in body.image_ids]
    (job,) = studio.submit([blend(_place(studio, who), images, body.model_dump())], who, body.lane)
    return _accepted(studio, job)


@router.post("/describe")
async def describe_image(body: DescribeAsked, request: Request, studio: StudioDep, who: Painter) -> Described:
    """The captions that a CLIP finds nearest to a picture, your own prompts among them."""
    job = await run_in_threadpool(_ask_for_captions, studio, who, body)
    return Described.model_validate(await waiting.words(studio, request, who, job))


@router.post("/shorten")
async def shorten_prompt(body: ShortenAsked, request: Request, studio: StudioDep, who: Painter) -> Shortened:
    """How much each word of a prompt matters, and shorter prompts that say nearly the same."""
    (prompt,) = parse(body.prompt, max_jobs=1)
    asked = JobRequest(num_images=0, kind="shorten", request=_words(prompt.words))
    (job,) = await run_in_threadpool(studio.submit, [asked], who, "draft")
    found = Shortened.model_validate(await waiting.words(studio, request, who, job))
    texts = [to_text(replace(prompt, parts=(Part(text),))) for text in found.prompts]
    return found.model_copy(update={"prompts": texts})


def shown(studio: Studio, who: Who, image_id: str | None, image: str | None) -> Shown | None:
    """The picture that comes with a prompt, if one does.

    Raises:
        PicturaError: it is not there, or none that is read.
    """
    if image_id is not None:
        return of_studio(picture(studio, image_id, who))
    return None if image is None else sent(image, "image", studio.config.upload_pixels)


def picture(studio: Studio, image_id: str, who: Who) -> Image:
    """A picture to begin with: one that may be seen and is not deleted.

    Raises:
        NotFoundError: there is none.
    """
    image = reading.image_for(studio.database, image_id, who)
    if image.deleted_at is not None:
        raise NotFoundError(f"The picture {image.id} is deleted. Restore it first.")
    return image


def _ask_for_captions(studio: Studio, who: Who, body: DescribeAsked) -> Job:
    found = shown(studio, who, body.image_id, body.image)
    assert found is not None  # the schema wants one
    source = found.image
    asked = JobRequest(
        num_images=0,
        kind="describe",
        parent_id=source.job_id if source else None,
        source_image_id=source.id if source else None,
        request=_words("") | ({"pictures": {"image": source.path}} if source else {}),
        uploads={"image": found.png} if found.png else {},
    )
    return studio.submit([asked], who, "draft")[0]


def _words(prompt: str) -> dict[str, object]:
    return {"prompt": prompt, "model": GUIDE, "choices": {}}


def _place(studio: Studio, who: Who) -> Place:
    return Place(
        who=who,
        models=studio.models,
        policy=studio.policy.get(),
        max_pixels=studio.config.upload_pixels,
    )


def _accepted(studio: Studio, job: Job) -> JobsAccepted:
    return JobsAccepted(jobs=reading.told(studio.database, [job]))
