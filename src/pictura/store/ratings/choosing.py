"""Which two pictures to ask a person about next, and their answer.

Two pictures of one prompt, sides by chance. First those that were shown least; once some answers are there,
those whose answer would tell most of the person (`belief`). One question in ten is an old one with its sides
changed: how often the answers agree says how far the rater can be trusted.
"""

import itertools
import random
import secrets
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from pictura.core.errors import ConflictError, NoPairsError, NotFoundError, PicturaError
from pictura.store.database import Database
from pictura.store.files import Files
from pictura.store.ratings import belief
from pictura.store.ratings.events import Rater, may_see
from pictura.store.ratings.looks import NUM_LOOKS, looks_of_file
from pictura.store.tables import Choice, ChosenBy, Image, Pair, User, new_id

REPEAT_SHARE = 0.1
REPEAT_AFTER = 4
"""Other pairs that must have been answered since."""
LEAST_ANSWERS = 6
"""Before any question is chosen by what it would tell."""
_POOL = 500
"""Newest pictures of the user's own, and as many public ones, among which to choose."""
_HISTORY = 1000
_QUESTIONS = 300
"""Drawn by chance, of which the best is asked."""
_NEW_LOOKS = 32
"""Pictures that are measured for one question; the next one finds them measured."""
_OF_GROUP = 12
_WINS = {"left": 1.0, "right": 0.0, "tie": 0.5}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A question."""

    pair: Pair
    left: Image
    right: Image
    number: int
    """Of the question among those of its user, from 1."""


@dataclass(frozen=True, slots=True)
class _Picture:
    """What choosing needs of a picture; whole rows of hundreds would take long to read."""

    id: str
    place: int
    prompt: str
    model: str
    model_hash: str
    sha256: str
    thumb_path: str
    looks: list[float] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Question:
    left: _Picture
    right: _Picture
    chosen_by: ChosenBy
    repeat_of: str | None = None


_SHORT = select(
    Image.id,
    Image.place,
    Image.prompt,
    Image.model,
    Image.model_hash,
    Image.sha256,
    Image.thumb_path,
    Image.features,
).where(Image.deleted_at.is_(None))


def next_pair(
    database: Database,
    files: Files,
    rater: Rater,
    *,
    model: str | None = None,
    rng: random.Random | None = None,
) -> Asked:
    """The next question to a user; the one that waits for its answer, if there is one.

    Args:
        database: that keeps pairs.
        files: that hold the pictures.
        rater: whom to ask.
        model: ask only about its pictures.
        rng: what chance decides by.

    Raises:
        NoPairsError: there are no two pictures left to ask about.
    """
    rng = rng or random.SystemRandom()
    with database.read() as session:
        history = _history(session, rater.user_id)
        answered = sum(pair.choice is not None for pair in history)
        if waiting := _waiting(session, rater, history, model):
            return Asked(pair=history[-1], left=waiting[0], right=waiting[1], number=answered + 1)
        groups = _groups(session, rater, model)
        question = _repeat(session, rater, history, model, rng) if rng.random() < REPEAT_SHARE else None
        known = _known(session, history)
    if question is None:
        looks = _Looks(files, [*known.values(), *itertools.chain(*groups)])
        question = _informative(groups, history, known, looks, rng) or _least_shown(groups, history, rng)
        if question is None:
            raise NoPairsError(
                "There are no two pictures of one prompt left to choose between. Paint some more, "
                "four of a prompt."
            )
        looks.keep(database, (question.left, question.right))
    pair = _ask(database, rater, question)
    with database.read() as session:
        left, right = (session.get_one(Image, image_id) for image_id in (pair.left_id, pair.right_id))
    return Asked(pair=pair, left=left, right=right, number=answered + 1)


def answer(database: Database, user_id: str, token: str, choice: Choice, ms: int | None) -> Pair:
    """Keep what a user chose.

    Raises:
        NotFoundError: that user was asked no such pair.
        ConflictError: it was answered otherwise before.
    """
    with database.write() as session:
        plain = token.isalnum() and token.isascii()
        pair = session.scalar(select(Pair).where(Pair.token == token)) if plain else None
        if pair is None or pair.user_id != user_id:
            raise NotFoundError("There is no such pair to choose from. Ask for the next one.")
        if pair.choice not in (None, choice):
            raise ConflictError(f"That pair was answered before with {pair.choice!r}; answers stay.")
        if pair.choice is None:
            pair.choice, pair.ms, pair.answered_at = choice, ms, database.now(session)
            pair.consent = session.get_one(User, user_id).train_on_ratings
        return pair


class _Looks:
    """Looks of pictures, measured where they were not, and brought to variance 1."""

    def __init__(self, files: Files, pictures: Sequence[_Picture]) -> None:
        self._files = files
        known = {picture.id: picture.looks or [] for picture in pictures}
        self._found = {name: found for name, found in known.items() if len(found) == NUM_LOOKS}
        self._new = dict[str, list[float]]()

    def has(self, picture: _Picture) -> bool:
        """Whether a picture is measured, or can be now."""
        if picture.id not in self._found and len(self._new) < _NEW_LOOKS:
            self._measure(picture)
        return picture.id in self._found

    def differences(self, pairs: Sequence[tuple[_Picture, _Picture]]) -> belief.Array:
        """(N, F): looks of the first less those of the second."""
        spread = np.std(list(self._found.values()), axis=0)
        found = np.array([[self._found[a.id], self._found[b.id]] for a, b in pairs])
        return np.asarray((found[:, 0] - found[:, 1]) / np.where(spread > 1e-9, spread, 1.0))

    def keep(self, database: Database, more: Sequence[_Picture]) -> None:
        """Write down what was measured, and what else is to be."""
        for picture in more:
            if picture.id not in self._found:
                self._measure(picture)
        if self._new:
            with database.write() as session:
                for image_id, found in self._new.items():
                    session.execute(update(Image).where(Image.id == image_id).values(features=found))

    def _measure(self, picture: _Picture) -> None:
        try:
            found = looks_of_file(self._files.read(picture.thumb_path))
        except (PicturaError, OSError):  # its file is gone or damaged; it is asked about all the same
            return
        self._new[picture.id] = self._found[picture.id] = found


def _history(session: Session, user_id: str) -> list[Pair]:
    query = select(Pair).where(Pair.user_id == user_id).order_by(Pair.id.desc()).limit(_HISTORY)
    return list(session.scalars(query))[::-1]


def _waiting(
    session: Session, rater: Rater, history: Sequence[Pair], model: str | None
) -> tuple[Image, Image] | None:
    if not history or history[-1].choice is not None or model not in (None, history[-1].model):
        return None
    return _both(session, rater, history[-1])


def _both(session: Session, rater: Rater, pair: Pair) -> tuple[Image, Image] | None:
    """The pictures of a pair, if they are still to be seen."""
    ids = (pair.left_id, pair.right_id)
    query = select(Image).where(Image.id.in_(ids), Image.deleted_at.is_(None), may_see(rater))
    found = {image.id: image for image in session.scalars(query)}
    return (found[ids[0]], found[ids[1]]) if len(found) == 2 else None


def _groups(session: Session, rater: Rater, model: str | None) -> list[list[_Picture]]:
    """The newest pictures by prompt, where a prompt has two."""
    found = dict[str, _Picture]()
    for whose in (Image.user_id == rater.user_id, Image.visibility == "public"):
        query = _SHORT.where(whose, Image.kind != "upscale", Image.prompt != "")
        if model is not None:
            query = query.where(Image.model == model)
        rows = session.execute(query.order_by(Image.place.desc()).limit(_POOL)).all()
        found |= {row.id: _Picture(*row) for row in rows}
    groups = defaultdict[str, list[_Picture]](list)
    for picture in found.values():
        if picture.sha256 not in {other.sha256 for other in groups[picture.prompt]}:
            groups[picture.prompt].append(picture)
    return [group for group in groups.values() if len(group) > 1]


def _known(session: Session, history: Sequence[Pair]) -> dict[str, _Picture]:
    """The pictures of all answers."""
    ids = sorted({one for pair in history for one in (pair.left_id, pair.right_id) if pair.choice in _WINS})
    found = dict[str, _Picture]()
    for start in range(0, len(ids), 500):
        rows = session.execute(_SHORT.where(Image.id.in_(ids[start : start + 500]))).all()
        found |= {row.id: _Picture(*row) for row in rows}
    return found


def _repeat(
    session: Session, rater: Rater, history: Sequence[Pair], model: str | None, rng: random.Random
) -> _Question | None:
    """An old question with its sides changed."""
    repeated = {pair.repeat_of for pair in history}
    answered = [pair for pair in history if pair.choice in _WINS]
    old = [
        pair
        for pair in answered[:-REPEAT_AFTER]
        if pair.repeat_of is None and pair.id not in repeated and model in (None, pair.model)
    ]
    pair = rng.choice(old) if old else None
    if pair is None or _both(session, rater, pair) is None:
        return None
    known = _known(session, [pair])
    left, right = known[pair.right_id], known[pair.left_id]
    return _Question(left=left, right=right, chosen_by="repeat", repeat_of=pair.id)


def _informative(
    groups: Sequence[Sequence[_Picture]],
    history: Sequence[Pair],
    known: dict[str, _Picture],
    looks: _Looks,
    rng: random.Random,
) -> _Question | None:
    """The question whose answer would tell most, of some that chance draws."""
    told = [
        (known[pair.left_id], known[pair.right_id], _WINS[pair.choice])
        for pair in history
        if pair.choice in _WINS and pair.left_id in known and pair.right_id in known
    ]
    told = [one for one in told if looks.has(one[0]) and looks.has(one[1])]
    if len(told) < LEAST_ANSWERS or not groups:
        return None
    asked = _asked(history)
    drawn = dict[frozenset[str], tuple[_Picture, _Picture]]()
    for _ in range(_QUESTIONS):
        left, right = rng.sample(rng.choice(groups), 2)
        both = frozenset((left.id, right.id))
        if both not in asked and looks.has(left) and looks.has(right):
            drawn[both] = (left, right)
    if not drawn:
        return None
    questions = list(drawn.values())
    person = belief.fit(
        looks.differences([(left, right) for left, right, _ in told]), np.array([win for *_, win in told])
    )
    left, right = questions[int(person.gain(looks.differences(questions)).argmax())]
    return _Question(left=left, right=right, chosen_by="informative")


def _least_shown(
    groups: Sequence[Sequence[_Picture]], history: Sequence[Pair], rng: random.Random
) -> _Question | None:
    """Two pictures that were shown least, not together before."""
    shown = Counter(one for pair in history for one in (pair.left_id, pair.right_id))
    asked, best = _asked(history), list[tuple[int, float, _Picture, _Picture]]()
    for group in groups:
        fresh = sorted(group, key=lambda picture: (shown[picture.id], rng.random()))[:_OF_GROUP]
        for a, b in itertools.combinations(fresh, 2):
            if frozenset((a.id, b.id)) not in asked:
                best.append((shown[a.id] + shown[b.id], rng.random(), a, b))
    if not best:
        return None
    _, _, left, right = min(best, key=lambda one: one[:2])
    if rng.random() < 0.5:
        left, right = right, left
    return _Question(left=left, right=right, chosen_by="least_shown")


def _asked(history: Sequence[Pair]) -> set[frozenset[str]]:
    return {frozenset((pair.left_id, pair.right_id)) for pair in history}


def _ask(database: Database, rater: Rater, question: _Question) -> Pair:
    left, right = question.left, question.right
    is_one = left.model_hash == right.model_hash and left.model == right.model
    with database.write() as session:
        last = session.scalar(select(func.max(Pair.id)).where(Pair.user_id == rater.user_id)) or ""
        pair = Pair(
            id=new_id(after=last),
            user_id=rater.user_id,
            token=secrets.token_hex(16),
            left_id=left.id,
            right_id=right.id,
            model=left.model if is_one else "",
            model_hash=left.model_hash if is_one else "",
            chosen_by=question.chosen_by,
            repeat_of=question.repeat_of,
            asked_at=database.now(session),
        )
        session.add(pair)
        return pair
