"""AUTOMATIC1111's API: text and picture to pictures, progress, models, samplers, options, what a PNG says."""

import base64
import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from PIL import Image as Pixels
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

import pictura
from pictura.api.access.accounts import Who
from pictura.api.asking.uploads import Upload, from_base64, prepared, said_in
from pictura.api.asking.wishes import Wish, resolve
from pictura.api.deps import Painter, Reader, StudioDep
from pictura.api.schemas.sdapi import (
    CheckpointTold,
    ImageAsked,
    Options,
    Painted,
    PngAsked,
    PngTold,
    Progress,
    SamplerTold,
    SchedulerTold,
    SdError,
    State,
    TextAsked,
)
from pictura.api.studio import Studio
from pictura.api.telling import pictures, waiting
from pictura.core.errors import ConfigError, did_you_mean
from pictura.core.sheets import sheet
from pictura.store.metadata import a1111_parameters, on_white
from pictura.store.models import AT_ONCE, AUTOREGRESSIVE, BY_IMAGINATION, ModelInfo
from pictura.store.tables import PENDING, Event, Image, Job, Setting

router = APIRouter(prefix="/sdapi/v1", tags=["AUTOMATIC1111"], responses={"4XX": {"model": SdError}})
SAMPLERS: Mapping[str, tuple[str, ...]] = {
    "euler": ("Euler", "k_euler"),
    "ab2": ("Adams-Bashforth 2", "lms", "LMS"),
    "dpmpp_2m": ("DPM++ 2M", "k_dpmpp_2m"),
}
"""Name of a solver to the names that clients may know it by."""
AUTOMATIC = ("", "automatic")
_LEAST_NOISE = 0.02
_FOREIGN: Mapping[str, tuple[str, ...]] = {
    AT_ONCE: ("steps", "cfg_scale", "sampler_name", "negative_prompt", "tiling"),
    AUTOREGRESSIVE: ("steps", "sampler_name", "negative_prompt", "tiling"),
    BY_IMAGINATION: ("sampler_name", "negative_prompt", "tiling"),
}
"""What a way of painting does not have. Clients always send all fields, so these are left out and told of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ready:
    """A request that was understood."""

    job: Job
    model: ModelInfo
    left_out: list[str]


@router.post("/txt2img")
async def from_text(body: TextAsked, request: Request, studio: StudioDep, who: Painter) -> Painted:
    """Paint pictures of a prompt."""
    ready = await run_in_threadpool(_submit, studio, who, body, None, None)
    return await _painted(studio, request, who, body, ready)


@router.post("/img2img")
async def from_image(body: ImageAsked, request: Request, studio: StudioDep, who: Painter) -> Painted:
    """Change a picture by a prompt: where the mask is white, or all over."""
    upload = await run_in_threadpool(_upload, studio, body)
    noise_level = max(_LEAST_NOISE, body.denoising_strength)
    ready = await run_in_threadpool(_submit, studio, who, body, upload, noise_level)
    return await _painted(studio, request, who, body, ready)


@router.get("/progress")
def get_progress(
    studio: StudioDep, who: Reader, skip_current_image: Annotated[bool, Query()] = False
) -> Progress:
    """How far the newest job is that came by this API."""
    job = _newest(studio, who)
    if job is None:
        return Progress(progress=0.0, eta_relative=0.0, state=State(), current_image=None)
    told = {event.kind: event for event in studio.queue.events(job.id)}
    done, total = _steps(told.get("progress"))
    share = done / total if total else 0.0
    spent = max(0.0, time.time() - job.started_at) if job.started_at else 0.0
    return Progress(
        progress=share,
        eta_relative=spent * (1 - share) / share if share else 0.0,
        state=State(
            job=job.id,
            job_count=job.num_images,
            job_timestamp=str(int(job.created_at)),
            sampling_step=done,
            sampling_steps=total,
            interrupted=job.cancel_asked,
        ),
        current_image=None if skip_current_image else _preview(told.get("preview")),
    )


@router.post("/interrupt")
def interrupt(studio: StudioDep, who: Painter) -> dict[str, str]:
    """Stop the newest job that came by this API; its request answers with what is there."""
    job = _newest(studio, who)
    if job is not None:
        studio.queue.cancel(job.id, who.user_id)
    return {}


@router.post("/skip")
def skip(studio: StudioDep, who: Painter) -> dict[str, str]:
    """The same."""
    return interrupt(studio, who)


@router.get("/sd-models")
def list_checkpoints(studio: StudioDep, who: Reader) -> list[CheckpointTold]:
    """All models that can paint; file names stay ours."""
    return [
        CheckpointTold(
            title=_title(model),
            model_name=model.path.name,
            hash=model.hash[:10],
            sha256=model.hash,
            filename=f"{model.path.name}.safetensors",
        )
        for model in studio.models.painters()
    ]


@router.get("/samplers")
def list_samplers(who: Reader) -> list[SamplerTold]:
    """Solvers of the models that paint by steps."""
    return [SamplerTold(name=name, aliases=list(aliases)) for name, aliases in SAMPLERS.items()]


@router.get("/schedulers")
def list_schedulers(who: Reader) -> list[SchedulerTold]:
    """Each model has its own grid of times."""
    return [SchedulerTold(name="automatic", label="Automatic")]


@router.get("/upscalers")
def list_upscalers(who: Reader) -> list[dict[str, Any]]:
    """There are none yet."""
    return []


@router.get("/loras")
def list_loras(who: Reader) -> list[dict[str, Any]]:
    """There are none: what a model learnt later lies beside it."""
    return []


@router.get("/options")
def get_options(studio: StudioDep, who: Reader) -> Options:
    """The model of requests that name none."""
    return Options(sd_model_checkpoint=_title(_model(studio, who, None)))


@router.post("/options")
def set_options(body: Options, studio: StudioDep, who: Painter) -> dict[str, str]:
    """Choose it."""
    if body.sd_model_checkpoint is not None:
        model = studio.models.find(_name(body.sd_model_checkpoint))
        value = {"model": model.path.name}
        with studio.database.write() as session:
            now = studio.database.now(session)
            session.merge(Setting(key=f"sdapi/{who.user_id}", value=value, changed_at=now))
    return {}


@router.post("/png-info")
def read_png(body: PngAsked, studio: StudioDep, who: Reader) -> PngTold:
    """What a picture says about how it was made."""
    image = from_base64(body.image, "image", studio.config.upload_pixels)
    assert image.size
    data = base64.b64decode(body.image.partition(",")[2] if body.image.startswith("data:") else body.image)
    lines, said = said_in(data)
    return PngTold(info=lines, items={"parameters": lines} if lines else {}, parameters=said)


def _submit(
    studio: Studio, who: Who, body: TextAsked, upload: Upload | None, noise_level: float | None
) -> _Ready:
    named = body.override_settings.sd_model_checkpoint if body.override_settings else None
    model = _model(studio, who, named)
    given: dict[str, Any] = {
        "steps": body.steps,
        "cfg_scale": body.cfg_scale,
        "sampler_name": _solver(body.sampler_name),
        "negative_prompt": (body.negative_prompt or "").strip() or None,
        "tiling": body.tiling or None,
    }
    foreign = _FOREIGN.get(model.sampling.solver, ())
    left_out = [name for name in foreign if given[name] is not None]
    kept = {name: None if name in foreign else value for name, value in given.items()}
    size = (body.width or 256, body.height or 256) if body.width or body.height else None
    wish = Wish(
        prompt=body.prompt,
        no=(kept["negative_prompt"],) if kept["negative_prompt"] else (),
        model=model.path.name,
        num_images=body.batch_size * body.n_iter,
        seed=None if body.seed in (None, -1) else body.seed,
        size=upload.size if upload else size,
        num_steps=kept["steps"],
        guidance_scale=kept["cfg_scale"],
        solver=kept["sampler_name"],
        tile=bool(kept["tiling"]),
        upload=upload,
        noise_level=noise_level,
        via="sdapi",
    )
    found = resolve(wish, who, studio.models, studio.policy.get(), max_jobs=1)
    return _Ready(job=studio.submit(found.requests, who)[0], model=model, left_out=left_out)


async def _painted(studio: Studio, request: Request, who: Who, body: TextAsked, ready: _Ready) -> Painted:
    try:
        images = await waiting.pictures(studio, request, who, ready.job)
    except waiting.JobEndedError as error:
        if error.code != "cancelled":
            raise
        images = []  # it was interrupted before the first
    return await run_in_threadpool(_told, studio, body, ready, images)


def _told(studio: Studio, body: TextAsked, ready: _Ready, images: list[Image]) -> Painted:
    files = [pictures.delivered(studio, image, format="png")[0] for image in images]
    with_grid = len(files) > 1 and not body.do_not_save_grid
    choices = ready.job.request["choices"]
    seed, num = choices["seed"], len(images)
    way = {**choices, **(images[0].details.get("settings", {}) if images else {})}
    info = {
        "prompt": body.prompt,
        "all_prompts": [body.prompt] * num,
        "negative_prompt": body.negative_prompt or "",
        "all_negative_prompts": [body.negative_prompt or ""] * num,
        "seed": seed,
        "all_seeds": [seed] * num,
        "subseed": -1,
        "subseed_strength": 0,
        "width": images[0].width if images else 0,
        "height": images[0].height if images else 0,
        "sampler_name": way.get("solver", ready.model.sampling.solver),
        "cfg_scale": way.get("guidance_scale", ready.model.sampling.guidance_scale),
        "steps": way.get("num_steps", ready.model.sampling.num_steps),
        "batch_size": body.batch_size,
        "sd_model_name": ready.model.path.name,
        "sd_model_hash": ready.model.hash[:10],
        "infotexts": [a1111_parameters(image.details) for image in images],
        "index_of_first_image": int(with_grid),
        "job_timestamp": str(int(ready.job.created_at)),
        "clip_skip": 1,
        "version": f"Pictura {pictura.__version__}",
        "x_job_id": ready.job.id,
        "x_left_out": ready.left_out,
    }
    if with_grid:
        files.insert(0, pictures.sheet_delivered(studio, _grid(files), images))
    sent = [base64.b64encode(data).decode() for data in files] if body.send_images else []
    parameters = body.model_dump(exclude={"init_images", "mask"})
    return Painted(images=sent, parameters=parameters, info=json.dumps(info))


def _grid(files: list[bytes]) -> bytes:
    """All pictures on one sheet."""
    opened = [on_white(Pixels.open(io.BytesIO(data), formats=["PNG"])) for data in files]
    file = io.BytesIO()
    sheet(opened).save(file, "PNG")
    return file.getvalue()


def _upload(studio: Studio, body: ImageAsked) -> Upload:
    most = studio.config.upload_pixels
    image = from_base64(body.init_images[0], "init_images", most)
    mask = None if body.mask is None else from_base64(body.mask, "mask", most).convert("L")
    if mask is not None and body.inpainting_mask_invert:
        mask = mask.point(lambda value: 255 - value)
    size = (body.width or image.width, body.height or image.height) if body.width or body.height else None
    return prepared(image, mask, size)


def _newest(studio: Studio, who: Who) -> Job | None:
    """The newest job of a user that came by this API and has not ended; the first of them that runs."""
    query = select(Job).where(Job.user_id == who.user_id, Job.state.in_(PENDING)).order_by(Job.id.desc())
    with studio.database.read() as session:
        jobs = [job for job in session.scalars(query.limit(100)) if job.request.get("via") == "sdapi"]
    return next((job for job in jobs if job.state == "running"), jobs[0] if jobs else None)


def _model(studio: Studio, who: Who, named: str | None) -> ModelInfo:
    if named:
        return studio.models.find(_name(named))
    with studio.database.read() as session:
        chosen = session.get(Setting, f"sdapi/{who.user_id}")
    return studio.models.find(chosen.value["model"] if chosen else "default")


def _solver(name: str | None) -> str | None:
    if name is None or name.lower() in AUTOMATIC:
        return None
    for solver, aliases in SAMPLERS.items():
        if name.lower() in (solver, *(alias.lower() for alias in aliases)):
            return solver
    raise ConfigError(f"No sampler is named {name!r}. {did_you_mean(name, SAMPLERS)}")


def _title(model: ModelInfo) -> str:
    return f"{model.path.name} [{model.hash[:10]}]"


def _name(title: str) -> str:
    """A title, as clients send it back, to the name in it."""
    return title.partition(" [")[0].removesuffix(".safetensors")


def _steps(event: Event | None) -> tuple[int, int]:
    return (event.payload["done"], event.payload["total"]) if event else (0, 0)


def _preview(event: Event | None) -> str | None:
    found = list(event.payload["jpeg"].values()) if event else []
    return found[-1] if found else None
