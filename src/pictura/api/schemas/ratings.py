"""What the native API takes and gives about ratings, as JSON."""

from typing import Annotated

from pydantic import BaseModel, Field

from pictura.api.schemas.native import ImageTold, Taken
from pictura.store.tables import Choice, ChosenBy, RatingKind, Surface

MAX_EVENTS = 100
"""Of one request."""
MAX_SHOWN = 200
_ID = Annotated[str, Field(min_length=1, max_length=64)]


class EventAsked(Taken):
    """What somebody did with a picture."""

    kind: RatingKind
    image_id: _ID
    slot: int | None = Field(None, ge=0, le=10**4, description="Its place among what was shown, from 0.")
    shown_ids: list[_ID] = Field(
        [], max_length=MAX_SHOWN, description="All that were seen together; the pictures of its job if empty."
    )
    surface: Surface = "api"


class EventsAsked(Taken):
    """Acts, in the order in which they were done."""

    events: list[EventAsked] = Field(min_length=1, max_length=MAX_EVENTS)


class EventsKept(BaseModel):
    """The ids of what was kept."""

    ids: list[str]


class RatingTold(BaseModel):
    """An act, or a pair that was answered (its kind is `pair`)."""

    id: str
    kind: str
    image_id: str = Field(description="Of a pair, the picture that was chosen, or the left one.")
    slot: int | None
    shown_ids: list[str]
    surface: str
    choice: Choice | None = Field(None, description="Of a pair.")
    ms: int | None = Field(None, description="Of a pair: how long it was looked at.")
    model: str
    model_hash: str
    consent: bool = Field(description="Whether models might learn from it when it was given.")
    created_at: float


class RatingPage(BaseModel):
    """Some ratings, the newest first."""

    items: list[RatingTold]
    next_cursor: str | None


class RatingsForgotten(BaseModel):
    """How many are gone for good."""

    ratings: int
    pairs: int


class PairTold(BaseModel):
    """Two pictures to choose from."""

    token: str = Field(description="With which it is answered.")
    prompt: str
    left: ImageTold
    right: ImageTold
    number: int = Field(description="Of the question, from 1.")


class PairAnswered(Taken):
    """A choice."""

    token: str = Field(min_length=1, max_length=64)
    choice: Choice
    ms: int | None = Field(None, ge=0, le=10**8, description="How long it was looked at.")


class PairKept(BaseModel):
    """A choice that was kept."""

    id: str
    choice: Choice
    chosen_by: ChosenBy = Field(description="Why the two were asked about.")
    repeat: bool = Field(description="Whether the two were asked about before, with sides changed.")


class ModelStatsTold(BaseModel):
    """How a model's pictures fared."""

    pairs: int = Field(description="That it had a picture in.")
    against: int = Field(description="Those against another model.")
    wins: int = Field(description="Of those against another model.")
    ties: int


class RaterTold(BaseModel):
    """How somebody rates."""

    pairs: int
    ties: int
    skips: int
    repeats: int = Field(description="Pairs that were answered twice, with sides changed.")
    consistency: float | None = Field(description="Share of repeats with the same answer.")
    left_share: float | None = Field(description="Of answers with a side; far from 0.5 is clicking blindly.")
    median_ms: float | None


class StatsTold(RaterTold):
    """One's own choices; for administrators, everybody's beside."""

    by_model: dict[str, ModelStatsTold]
    raters: dict[str, RaterTold] | None = Field(
        None, description="By what stands for each user in exports; with `everybody` alone."
    )


class SettingsChanged(Taken):
    """What shall be another."""

    train_on_ratings: bool
    past: bool = Field(False, description="The same of everything that was rated before.")


class FacetTold(BaseModel):
    """Pictures that have something in common."""

    name: str
    count: int


class FacetsTold(BaseModel):
    """What one's pictures can be filtered by, the most frequent first."""

    models: list[FacetTold]
    kinds: list[FacetTold]
