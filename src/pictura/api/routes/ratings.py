"""Ratings: keep what people do with pictures, ask them to choose, give it back, forget it."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from pictura.api.access.accounts import Who
from pictura.api.asking.rating import rater
from pictura.api.deps import Rates, StudioDep
from pictura.api.routes.jobs import Cursor, Limit
from pictura.api.schemas.native import PAGE
from pictura.api.schemas.ratings import (
    EventsAsked,
    EventsKept,
    ModelStatsTold,
    PairAnswered,
    PairKept,
    PairTold,
    RaterTold,
    RatingPage,
    RatingsForgotten,
    RatingTold,
    StatsTold,
)
from pictura.api.studio import Studio
from pictura.api.telling import reading
from pictura.store.ratings import choosing, events, export, learning, stats
from pictura.store.tables import Pair, Rating

router = APIRouter(tags=["ratings"])
_PARQUET: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}}},
        "description": "The file.",
    }
}
_HASH_DIGITS = 16


@router.post("/ratings", status_code=202)
def keep_ratings(body: EventsAsked, studio: StudioDep, who: Rates) -> EventsKept:
    """Keep what somebody did with pictures, all or nothing."""
    acts = [events.Act(**{**one.model_dump(), "shown_ids": tuple(one.shown_ids)}) for one in body.events]
    return EventsKept(ids=events.record(studio.database, rater(who), acts))


@router.get("/ratings")
def list_ratings(studio: StudioDep, who: Rates, limit: Limit = PAGE, cursor: Cursor = None) -> RatingPage:
    """What one rated oneself, the newest first."""
    before = None if cursor is None else reading.checked(cursor)
    rows, after = events.page(studio.database, who.user_id, limit=limit, before=before)
    return RatingPage(items=[_told(row) for row in rows], next_cursor=after)


@router.delete("/ratings")
def forget_ratings(studio: StudioDep, who: Rates) -> RatingsForgotten:
    """Delete everything that one rated oneself, for good."""
    return RatingsForgotten(**asdict(events.forget(studio.database, who.user_id)))


@router.delete("/ratings/{rating_id}")
def forget_rating(rating_id: str, studio: StudioDep, who: Rates) -> RatingsForgotten:
    """Delete one rating or pair of one's own, for good."""
    return RatingsForgotten(**asdict(events.forget_one(studio.database, who.user_id, rating_id)))


@router.get("/ratings/export", response_class=StreamingResponse, responses=_PARQUET)
def export_ratings(
    studio: StudioDep,
    who: Rates,
    what: Annotated[
        Literal["pairs", "events"], Query(description="What can be learnt from, or every act.")
    ] = "pairs",
    pictures: Annotated[bool, Query(description="Of pairs: with the pictures' files.")] = False,
    everybody: Annotated[
        bool, Query(description="Of administrators: all users who allow models to learn from it.")
    ] = False,
) -> StreamingResponse:
    """What one rated oneself, as a Parquet file."""
    if everybody:
        who.must("admin")
    user_id = None if everybody else who.user_id

    def hide(user: str) -> str:
        return _hidden(studio, user)

    if what == "events":
        parts = export.acts_file(studio.database, hide, user_id=user_id, consent=everybody)
    else:
        pairs = learning.pairs(studio.database, consent=everybody, user_id=user_id)
        parts = export.pairs_file(pairs, hide, studio.files if pictures else None)
    name = {"Content-Disposition": f'attachment; filename="pictura-{what}.parquet"'}
    return StreamingResponse(parts, media_type="application/vnd.apache.parquet", headers=name)


@router.get("/pairs/next")
def ask_pair(
    studio: StudioDep, who: Rates, model: Annotated[str | None, Query(max_length=100)] = None
) -> PairTold:
    """Two pictures of one prompt to choose from; the same again until they are answered."""
    mine = events.Rater(user_id=who.user_id)  # administrators too: nobody ranks what others keep private
    asked = choosing.next_pair(studio.database, studio.files, mine, model=model)
    left, right = reading.images_told(studio.database, who, [asked.left, asked.right])
    return PairTold(
        token=asked.pair.token, prompt=asked.left.prompt, left=left, right=right, number=asked.number
    )


@router.post("/pairs", status_code=201)
def answer_pair(body: PairAnswered, studio: StudioDep, who: Rates) -> PairKept:
    """Keep a choice."""
    pair = choosing.answer(studio.database, who.user_id, body.token, body.choice, body.ms)
    return PairKept(
        id=pair.id, choice=body.choice, chosen_by=pair.chosen_by, repeat=pair.repeat_of is not None
    )


@router.get("/pairs/stats")
def pair_stats(
    studio: StudioDep,
    who: Rates,
    everybody: Annotated[bool, Query(description="Of administrators: each rater's numbers beside.")] = False,
) -> StatsTold:
    """How one chose so far, and how often one agrees with oneself."""
    if everybody:
        who.must("admin")
    found = asdict(stats.stats_of(studio.database, who.user_id))
    models = {name: ModelStatsTold(**one) for name, one in found.pop("by_model").items()}
    return StatsTold(**found, by_model=models, raters=_raters(studio, who) if everybody else None)


def _raters(studio: Studio, who: Who) -> dict[str, RaterTold]:
    found = dict[str, RaterTold]()
    for user_id, one in stats.raters(studio.database):
        numbers = {name: value for name, value in asdict(one).items() if name != "by_model"}
        found[_hidden(studio, user_id)] = RaterTold(**numbers)
    return found


def _hidden(studio: Studio, user_id: str) -> str:
    """What stands for a user in exports: always the same, and nobody outside can tell whose it is."""
    return studio.sign(f"rater {user_id}")[:_HASH_DIGITS]


def _told(row: Rating | Pair) -> RatingTold:
    if isinstance(row, Rating):
        return RatingTold(
            id=row.id,
            kind=row.kind,
            image_id=row.image_id,
            slot=row.slot,
            shown_ids=row.shown_ids,
            surface=row.surface,
            choice=None,
            ms=None,
            model=row.model,
            model_hash=row.model_hash,
            consent=row.consent,
            created_at=row.created_at,
        )
    return RatingTold(
        id=row.id,
        kind="pair",
        image_id=row.right_id if row.choice == "right" else row.left_id,
        slot={"left": 0, "right": 1}.get(row.choice or ""),
        shown_ids=[row.left_id, row.right_id],
        surface="rank",
        choice=row.choice,
        ms=row.ms,
        model=row.model,
        model_hash=row.model_hash,
        consent=row.consent,
        created_at=row.answered_at or row.asked_at,
    )
