"""What AUTOMATIC1111's API takes and gives, as far as Pictura speaks it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pictura.prompt.grammar import MAX_TEXT
from pictura.sample.sizes import MAX_SIDE, MIN_SIDE


class Overrides(BaseModel):
    """Options for one request."""

    model_config = ConfigDict(extra="ignore")

    sd_model_checkpoint: str | None = Field(None, max_length=200)


class TextAsked(BaseModel):
    """A prompt, in the prompt language. Fields that mean nothing here are let be."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    prompt: str = Field("", max_length=MAX_TEXT)
    negative_prompt: str | None = Field(None, max_length=2000)
    seed: int | None = Field(-1, ge=-1, le=2**32 - 1)
    sampler_name: str | None = Field(None, max_length=60)
    steps: int | None = Field(None, ge=1, le=1000, description="As the model advises unless given.")
    cfg_scale: float | None = Field(None, ge=0, le=50, description="As the model advises unless given.")
    width: int | None = Field(None, ge=MIN_SIDE, le=MAX_SIDE, description="256 unless given.")
    height: int | None = Field(None, ge=MIN_SIDE, le=MAX_SIDE)
    batch_size: int = Field(1, ge=1, le=16)
    n_iter: int = Field(1, ge=1, le=16)
    tiling: bool | None = None
    do_not_save_grid: bool = False
    send_images: bool = True
    override_settings: Overrides | None = None


class ImageAsked(TextAsked):
    """A prompt and a picture to begin with."""

    init_images: list[str] = Field(min_length=1, max_length=1, description="Base64.")
    denoising_strength: float = Field(0.75, ge=0, le=1)
    mask: str | None = Field(None, description="Base64; white is painted anew.")
    inpainting_mask_invert: int = Field(0, ge=0, le=1)


class Painted(BaseModel):
    """The answer."""

    images: list[str]
    parameters: dict[str, Any]
    info: str


class State(BaseModel):
    """How far the newest job is."""

    skipped: bool = False
    interrupted: bool = False
    job: str = ""
    job_count: int = 0
    job_timestamp: str = "0"
    job_no: int = 0
    sampling_step: int = 0
    sampling_steps: int = 0


class Progress(BaseModel):
    """The same."""

    progress: float
    eta_relative: float
    state: State
    current_image: str | None
    textinfo: str | None = None


class CheckpointTold(BaseModel):
    """A model."""

    title: str
    model_name: str
    hash: str
    sha256: str
    filename: str
    config: str | None = None


class SamplerTold(BaseModel):
    """A solver."""

    name: str
    aliases: list[str]
    options: dict[str, str] = {}


class SchedulerTold(BaseModel):
    """A grid of times."""

    name: str
    label: str
    aliases: list[str] | None = None


class Options(BaseModel):
    """What may be set for all later requests of a user."""

    model_config = ConfigDict(extra="ignore")

    sd_model_checkpoint: str | None = Field(None, max_length=200)


class PngAsked(BaseModel):
    """A picture that may say how it was made."""

    image: str


class PngTold(BaseModel):
    """What it says."""

    info: str
    items: dict[str, Any]
    parameters: dict[str, Any]


class SdError(BaseModel):
    """What went wrong."""

    error: str
    detail: str
    body: str
    errors: list[Any] | str
