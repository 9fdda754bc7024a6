"""Loaded models that stay loaded, and how many calls of each a device should get at a time."""

import os
from collections import OrderedDict
from typing import Any

from pictura.engine.batching import MAX_CALLS, Rows, budget, seconds
from pictura.pipeline import Painter, load
from pictura.sample.calls import Call, Calls, answer
from pictura.store.models import STUDENT, resolve


class WarmModels:
    """Painters by model and strength; the ones used longest ago are let go."""

    def __init__(
        self,
        *,
        device: str = "auto",
        max_models: int = 4,
        num_cores: int | None = None,
        num_calls: int | None = None,
    ) -> None:
        """Begin cold.

        Args:
            device: as in `pipeline.load`.
            max_models: kept at a time.
            num_cores: of a CPU, calls side by side; None is all that this process may use.
            num_calls: at a time, of every model; None measures it when a model is loaded.
        """
        self._device, self._max_models = device, max_models
        self._num_calls = num_calls
        self._num_cores = num_cores or len(os.sched_getaffinity(0))
        self._warm: OrderedDict[tuple[str, str, float], Painter] = OrderedDict()
        self._of: dict[int, tuple[Rows, int]] = {}

    def painter(self, name: str, strength: float = 100.0) -> Painter:
        """A painter that is warm, or becomes so now.

        Raises:
            PicturaError: as in `pipeline.load`.
        """
        model = resolve(name)
        key = (model.hash, model.files.get(STUDENT, ""), strength)
        if key not in self._warm:
            threads = 1 if self._num_cores > 1 else None
            painter = load(name, device=self._device, strength=strength, num_threads=threads)
            rows = Rows(painter.backend, num_cores=self._num_cores)
            self._of[id(painter)] = (rows, self._num_calls or _measured(painter, rows, self._num_cores))
            self._warm[key] = painter
        self._warm.move_to_end(key)
        return self._warm[key]

    def rows(self, painter: Painter) -> Rows:
        """What answers the calls of a painter that came from here."""
        return self._of[id(painter)][0]

    def budget(self, painter: Painter) -> int:
        """Units of it that should be on at a time."""
        return self._of[id(painter)][1]

    def trim(self, in_use: set[int]) -> None:
        """Let models go that are too many, the longest unused first.

        Args:
            in_use: `id` of painters that must stay.
        """
        for key, painter in list(self._warm.items()):
            if len(self._warm) <= self._max_models:
                break
            if id(painter) not in in_use:
                del self._warm[key]
                self._of.pop(id(painter))[0].close()


def _measured(painter: Painter, rows: Rows, num_cores: int) -> int:
    """Calls at a time that pay on this device."""
    call = _usual_call(painter)
    most = MAX_CALLS if hasattr(painter.backend, "answer_all") else num_cores
    return budget(lambda num: seconds(lambda: rows.answer([call] * num)), most=most)


def _usual_call(painter: Painter) -> Call:
    """The call that painting is made of: the first one that is not about words."""
    way = painter.making("a", num_images=1, seed=0)
    wish: Any = next(way)
    while True:
        calls = wish.calls if isinstance(wish, Calls) else (wish,) if isinstance(wish, Call) else ()
        if calls and calls[0].method != "encode_text":
            way.close()
            return calls[0]
        reply = [answer(painter.backend, call) for call in calls]
        wish = way.send(reply if isinstance(wish, Calls) else reply[0] if reply else None)
