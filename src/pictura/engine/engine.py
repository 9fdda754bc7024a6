"""Requests in, pictures out, many at a time: the loop around every model's way of painting.

A request is cut into units: one picture each where pictures are painted apart, all together where they are
drawn side by side. Each unit is a way (`sample/calls.py`). A round takes every unit that is on to its next
network call and answers all of them together, so that units join and leave between any two calls, each with
its own prompt, steps, guidance and seed. A picture is the same, bit for bit on a CPU, whatever is painted
beside it.

Units wait in lanes: `draft` before `fast` before `relax`. Within a lane the order of arrival holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from PIL import Image

from pictura.actions.making import Work
from pictura.core import images
from pictura.engine.models import WarmModels
from pictura.pipeline import Painter, Picture
from pictura.sample.calls import Call, Calls, Progress, Way
from pictura.sample.request import Choices

LANES = ("draft", "fast", "relax")
"""The first go first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """Something to paint."""

    id: str
    prompt: str
    model: str = "default"
    choices: Choices = field(default_factory=Choices)
    """See `Painter.paint`; the seed must be given."""
    strength: float = 100.0
    """Of what the model learnt on top of its base, in percent."""
    lane: str = "fast"
    num_previews: int = 0
    """Looks at each picture on the way."""
    have: frozenset[int] = frozenset()
    """Numbers within the request of pictures that need no painting."""
    work: Work | None = None
    """What is made of given pictures; None paints the prompt."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a request."""

    id: str
    kind: str
    """`started`, `progress`, `preview`, `picture`, `done`, `failed`."""
    done: int = 0
    """Steps of network calls, over all pictures of the request."""
    total: int = 0
    index: int = 0
    """Of `preview` and `picture`: the picture's number within the request, from 0."""
    image: Image.Image | None = None
    """Of `preview`."""
    picture: Picture | None = None
    error: Exception | None = None


@dataclass(kw_only=True, slots=True, eq=False)
class _Unit:
    """One or more pictures of a request that are painted together."""

    request: Request
    first: int
    """Number of its first picture within the request."""
    num: int
    way: Way[list[Picture]]
    painter: Painter
    calls: tuple[Call, ...] = ()
    """What it waits for."""
    many: bool = False
    """Whether it wants them as a list."""
    done: int = 0
    total: int = 0


@dataclass(kw_only=True, slots=True)
class _Open:
    """A request that is not over."""

    units: list[_Unit]
    told: int = 0
    """Steps that were last told of."""
    started: bool = False


class Engine:
    """Paints requests."""

    def __init__(self, models: WarmModels) -> None:
        """Begin without requests.

        Args:
            models: that are kept warm.
        """
        self._models = models
        self._open: dict[str, _Open] = {}
        self._waiting: dict[str, list[_Unit]] = {lane: [] for lane in LANES}
        self._on: list[_Unit] = []

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._open

    @property
    def num_waiting(self) -> int:
        """Units that no row is free for; new requests should wait elsewhere while there are some."""
        return sum(map(len, self._waiting.values()))

    def add(self, request: Request) -> None:
        """Take a request in; its pictures join the next round that has rows for them.

        Raises:
            PicturaError: it cannot be painted.
        """
        painter = self._models.painter(request.model, request.strength)
        units = list(self._units(request, painter))
        self._open[request.id] = _Open(units=units)
        self._waiting[request.lane].extend(units)

    def cancel(self, request_id: str) -> None:
        """Forget a request, at once; nothing more is told of it. One that is over or unknown is let be."""
        for unit in self._open.pop(request_id, _Open(units=[])).units:
            unit.way.close()
            if unit in self._on:
                self._on.remove(unit)
            for lane in self._waiting.values():
                if unit in lane:
                    lane.remove(unit)

    def round(self) -> list[Event]:
        """Take everybody who is on one network call further.

        Returns:
            What happened, in order; none if there is nothing to do.
        """
        events = list(self._admit())
        groups: dict[int, list[_Unit]] = {}
        for unit in self._on:
            groups.setdefault(id(unit.painter), []).append(unit)
        for units in groups.values():
            calls = [call for unit in units for call in unit.calls]
            answers = iter(self._models.rows(units[0].painter).answer(calls))
            for unit in units:
                found = [next(answers) for _ in unit.calls]
                if unit.request.id in self._open:
                    events += self._go_on(unit, found)
        if any(event.kind in ("done", "failed") for event in events):
            self._models.trim({id(unit.painter) for state in self._open.values() for unit in state.units})
        return events

    def _admit(self) -> Iterator[Event]:
        """Let units in for as long as there are rows."""
        for lane in LANES:
            waiting = self._waiting[lane]
            while waiting and self._room_for(waiting[0]):
                unit = waiting.pop(0)
                request = self._open.get(unit.request.id)
                if request and not request.started:
                    request.started = True
                    yield Event(unit.request.id, "started")
                self._on.append(unit)
                yield from self._go_on(unit, [])

    def _room_for(self, unit: _Unit) -> bool:
        taken = sum(1 / self._models.budget(one.painter) for one in [*self._on, unit])
        return taken <= 1 or not self._on

    def _go_on(self, unit: _Unit, found: list[Any]) -> Iterator[Event]:
        """Send a unit its answers and follow it to its next calls, or to its end."""
        request = unit.request
        try:
            for one in found:
                if isinstance(one, Exception):
                    raise one
            wish = unit.way.send(found if unit.many else found[0] if found else None)
            while isinstance(wish, Progress):
                unit.done, unit.total = wish.done, wish.total
                yield from self._told(unit, wish)
                wish = unit.way.send(None)
            unit.many = isinstance(wish, Calls)
            unit.calls = wish.calls if isinstance(wish, Calls) else (wish,)
        except StopIteration as end:
            self._on.remove(unit)
            for i, picture in enumerate(end.value):
                yield Event(request.id, "picture", index=unit.first + i, picture=picture)
            self._open[request.id].units.remove(unit)
            if not self._open[request.id].units:
                del self._open[request.id]
                yield Event(request.id, "done")
        except Exception as error:  # noqa: BLE001  # of this request alone; the others go on
            self.cancel(request.id)
            yield Event(request.id, "failed", error=error)

    def _told(self, unit: _Unit, progress: Progress) -> Iterator[Event]:
        """What a step is worth telling: how far the whole request is, and how the picture looks by now."""
        request, state = unit.request, self._open[unit.request.id]
        share = sum(one.done / one.total * one.num for one in state.units if one.total)
        num = request.choices.get("num_images", 4)
        gone = num - sum(one.num for one in state.units)
        total = num * (unit.total // unit.num)
        yield Event(request.id, "progress", done=round((share + gone) / num * total), total=total)
        if progress.preview and _looks(progress, request.num_previews):
            (seen,) = self._models.rows(unit.painter).answer([progress.preview])
            if isinstance(seen, Exception):
                raise seen
            for i, image in enumerate(images.to_pil(unit.painter.backend.numpy(seen))):
                yield Event(request.id, "preview", index=unit.first + i, image=image)

    def _units(self, request: Request, painter: Painter) -> Iterator[_Unit]:
        choices, work = request.choices, request.work
        num, first = choices.get("num_images", 4), choices.get("first", 0)
        making = partial(work.making, painter) if work else painter.making
        whole = making(request.prompt, **choices)  # refuses what cannot be painted
        if painter.model.by_tokens or choices.get("candidates") or (work and work.together):
            yield _Unit(request=request, first=0, num=num, way=whole, painter=painter)
            return
        whole.close()
        for i in sorted(set(range(num)) - request.have):
            one: Choices = {**choices, "num_images": 1, "first": first + i}
            way = making(request.prompt, **one)
            yield _Unit(request=request, first=i, num=1, way=way, painter=painter)


def _looks(progress: Progress, num: int) -> bool:
    """Whether one of `num` looks, spread evenly over the way, falls on this step; never on the last."""
    before, after = (progress.done - 1) * (num + 1), progress.done * (num + 1)
    return progress.done < progress.total and before // progress.total < after // progress.total
