"""What the native API takes and gives, as JSON."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pictura.api.access.policy import LONGEST_WORD, MAX_WORDS, Mode
from pictura.api.config import Role, Scope
from pictura.prompt.grammar import MAX_JOBS, MAX_TEXT
from pictura.sample.request import MAX_CANDIDATES, MAX_IMAGES
from pictura.sample.sizes import MAX_SIDE, MIN_SIDE
from pictura.store.tables import Lane, State, Visibility

Side = Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)]
MAX_SEED = 2**32 - 1
PAGE = 50
MAX_PAGE = 200


class Taken(BaseModel):
    """Something a client sends: unknown fields are refused, so that no misspelt one is ignored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class JobsAsked(Taken):
    """A prompt in the prompt language, and what may be chosen beside it."""

    prompt: str = Field(
        min_length=1, max_length=MAX_TEXT, examples=["a red fox on a blue background --ar 3:2"]
    )
    language: bool = Field(True, description="False: the prompt is words and nothing else.")
    lane: Lane = Field("fast", description="How urgent it is; relax waits for all others.")
    model: str | None = Field(None, max_length=100, description="A name of `GET /models`.")
    num_images: int = Field(4, ge=1, le=MAX_IMAGES, description="Of each job.")
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="Drawn if not given.")
    size: tuple[Side, Side] | None = Field(None, description="Width and height in pixels, at most 2:1.")
    enlarge: Literal["learnt", "lanczos"] | None = Field(
        None, description="How pictures that are painted smaller become so large; learnt unless given."
    )
    as_written: bool = Field(False, description="True: words that the model does not know stay as they are.")
    num_steps: int | None = Field(None, ge=1, le=1000, description="Network steps.")
    guidance_scale: float | None = Field(None, ge=0, le=50, description="How closely to follow; 1 is off.")
    solver: str | None = Field(None, max_length=40)
    temperature: float | None = Field(None, ge=0, le=10, description="Of models that paint by tokens.")
    top_k: int | None = Field(None, ge=0, le=10**6, description="Of models that paint by tokens; 0 is all.")
    candidates: int | None = Field(None, ge=1, le=MAX_CANDIDATES, description="Paint so many, keep the best.")
    strength: float | None = Field(None, ge=0, le=200, description="Of what was learnt, in percent.")
    image_id: str | None = Field(
        None, min_length=1, max_length=64, description="A picture of the studio that the prompt is about."
    )
    image: str | None = Field(
        None, min_length=1, max_length=8 * 2**20, description="The same, sent: PNG, JPEG or WebP in base64."
    )

    @model_validator(mode="after")
    def _has_one_picture(self) -> "JobsAsked":
        if self.image_id is not None and self.image is not None:
            raise ValueError("give image_id or image, not both")
        return self


class PromptAsked(Taken):
    """A prompt that is still being typed."""

    prompt: str = Field(max_length=MAX_TEXT)
    max_jobs: int = Field(MAX_JOBS, ge=1, le=MAX_JOBS)


class LoginAsked(Taken):
    """Who wants to log in."""

    name: str = Field(max_length=64)
    password: str = Field(max_length=256)


class UserAsked(Taken):
    """A user to be made."""

    name: str = Field(max_length=64)
    password: str | None = Field(None, max_length=256, description="None: cannot log in, only keys can.")
    role: Role = "user"


class LimitsAsked(Taken):
    """Limits of one user that differ from those of the role; null is no limit."""

    requests_a_minute: int | None = Field(None, ge=0, le=10**6)
    pending_jobs: int | None = Field(None, ge=0, le=10**6)
    images_a_day: int | None = Field(None, ge=0, le=10**9)
    images_a_job: int | None = Field(None, ge=0, le=MAX_IMAGES)
    pixels: int | None = Field(None, ge=0, le=10**9)
    steps: int | None = Field(None, ge=0, le=10**4)
    streams: int | None = Field(None, ge=0, le=10**4)


class UserChanged(Taken):
    """What shall be another; what is left out stays."""

    role: Role | None = None
    password: str | None = Field(None, max_length=256)
    disabled: bool | None = None
    limits: LimitsAsked | None = Field(None, description="In the place of all that were changed before.")


class KeyAsked(Taken):
    """A key to be made."""

    scopes: list[Scope] = Field(["generate"], max_length=3)
    user_id: str | None = Field(None, max_length=64, description="For whom; only administrators say so.")


class PolicyAsked(Taken):
    """Settings for all."""

    mode: Mode = "off"
    words: list[Annotated[str, Field(min_length=1, max_length=LONGEST_WORD)]] = Field(
        [], max_length=MAX_WORDS
    )
    metadata: bool = Field(True, description="Whether picture files say how they were painted.")


class ImageChanged(Taken):
    """What shall be another about a picture."""

    visibility: Visibility


class ImageTold(BaseModel):
    """A picture."""

    id: str
    job_id: str
    index: int = Field(description="Among the pictures of its job, from 0.")
    width: int
    height: int
    num_bytes: int
    sha256: str
    url: str
    thumb_url: str
    details: dict[str, Any] = Field(description="How it was painted: prompt, seed, settings, model.")
    visibility: Visibility
    created_at: float = Field(description="Seconds since 1970.")
    deleted_at: float | None
    liked: bool = Field(False, description="Whether the one who asks likes it.")
    rating: str | None = Field(None, description="What they think of it: like, dislike, star.")


class ErrorTold(BaseModel):
    """Why a job ended without its pictures."""

    code: str | None
    message: str | None


class JobTold(BaseModel):
    """A job, as far as it has come."""

    id: str
    status: State
    lane: Lane
    prompt: str = Field(description="As it came.")
    resolved: str = Field(description="The prompt that this very job paints.")
    model: str
    seed: int
    num_images: int
    choices: dict[str, Any]
    warnings: list[str]
    kind: str = Field(description="imagine, or the action that it does.")
    parent_id: str | None
    source_image_id: str | None = Field(description="The picture that it goes on from.")
    action: dict[str, Any] | None = Field(description="What is done with pictures, without these.")
    result: dict[str, Any] | None = Field(description="Of describe and shorten.")
    position: int | None = Field(None, description="Jobs before it, of `GET /jobs/{id}` while it waits.")
    cancel_asked: bool
    error: ErrorTold | None
    images: list[ImageTold]
    created_at: float
    started_at: float | None
    finished_at: float | None


class JobsAccepted(BaseModel):
    """Jobs that will be done."""

    jobs: list[JobTold]


class JobPage(BaseModel):
    """Some jobs, the newest first."""

    items: list[JobTold]
    next_cursor: str | None


class ImagePage(BaseModel):
    """Some pictures, those of the newest job first."""

    items: list[ImageTold]
    next_cursor: str | None


class ModelTold(BaseModel):
    """A model that can paint."""

    name: str
    family: str
    is_default: bool
    licence: str
    size_mb: float
    transparent: bool
    sampling: dict[str, Any] = Field(description="What it advises.")
    metrics: dict[str, Any]


class ModelList(BaseModel):
    """All models."""

    items: list[ModelTold]


class PromptMistake(BaseModel):
    """What is wrong with a prompt, and where."""

    message: str
    column: int | None = Field(None, description="Of the first wrong letter, from 1.")
    found: str | None = None
    expected: str | None = None


class PromptRead(BaseModel):
    """One request of a prompt."""

    parts: list[tuple[str, float]] = Field(description="Words and their share of the whole.")
    parameters: dict[str, Any]
    text: str = Field(description="As Pictura writes it.")


class PromptTold(BaseModel):
    """What a prompt means, or why it means nothing."""

    ok: bool
    error: PromptMistake | None = None
    num_jobs: int = 0
    prompts: list[PromptRead] = []


class UserTold(BaseModel):
    """A user."""

    id: str
    name: str
    role: str
    created_at: float
    disabled: bool
    limits: dict[str, int | None]


class UserList(BaseModel):
    """All users."""

    items: list[UserTold]


class KeyTold(BaseModel):
    """A key, without itself."""

    id: str
    user_id: str
    prefix: str
    scopes: list[str]
    created_at: float
    last_used_at: float | None
    revoked_at: float | None


class KeyMade(KeyTold):
    """A new key."""

    key: str = Field(description="Shown this once.")


class KeyList(BaseModel):
    """Keys."""

    items: list[KeyTold]


class SessionTold(BaseModel):
    """Who asks."""

    user: UserTold
    by: Literal["local", "key", "login"]
    scopes: list[str]
    settings: dict[str, bool] = Field(description="train_on_ratings: models may learn from their ratings.")
    csrf_token: str | None = Field(None, description="Pages send it as x-csrf-token with every change.")


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
