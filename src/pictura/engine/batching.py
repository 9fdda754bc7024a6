"""Many network calls at a time, answered as fast as a device can: rows together, or cores side by side.

On a CPU every row is a call of its own (`runtime/onnx_backend.py`), so calls run side by side, one on each
core, and a picture's bits cannot depend on its neighbours. A backend that gains from many rows in one call
has a method `answer_all`, and joins them itself.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pictura.sample.calls import Call, answer

WORTH_IT = 0.9
"""Twice as many calls must bring the cost of one down to this share, or they are not taken."""
MAX_CALLS = 64
MAX_TEXTS = 256
"""Prompts whose features are kept, for each model."""


class Rows:
    """Answers the calls of one model."""

    def __init__(self, backend: Any, *, num_cores: int = 1) -> None:
        """Keep the backend.

        Args:
            backend: of a loaded model.
            num_cores: calls that may run side by side, where the backend does not join them itself.
        """
        self._backend = backend
        self._joined: Callable[[Sequence[Call]], list[Any]] | None = getattr(backend, "answer_all", None)
        self._pool = ThreadPoolExecutor(num_cores, thread_name_prefix="rows") if num_cores > 1 else None
        self._texts: OrderedDict[bytes, Any] = OrderedDict()

    def answer(self, calls: Sequence[Call]) -> list[Any]:
        """Answers in the order of the calls; one that fails is answered by its exception.

        Prompts that were read before are not read again.
        """
        found: dict[int, Any] = {}
        for i, call in enumerate(calls):
            if call.method == "encode_text":
                found[i] = self._read(call)
        rest = [i for i in range(len(calls)) if i not in found]
        found.update(zip(rest, self._compute([calls[i] for i in rest]), strict=True))
        return [found[i] for i in range(len(calls))]

    def close(self) -> None:
        """Let the threads go."""
        if self._pool:
            self._pool.shutdown()

    def _compute(self, calls: Sequence[Call]) -> list[Any]:
        if self._joined and len(calls) > 1:
            return self._joined(calls)
        if self._pool and len(calls) > 1:
            return list(self._pool.map(self._one, calls))
        return [self._one(call) for call in calls]

    def _one(self, call: Call) -> Any:
        try:
            return answer(self._backend, call)
        except Exception as error:  # noqa: BLE001  # handed to the request that asked; the others go on
            return error

    def _read(self, call: Call) -> Any:
        key = call.args[0].tobytes()
        if key not in self._texts:
            features = self._one(call)
            if isinstance(features, Exception):
                return features
            self._texts[key] = features
            while len(self._texts) > MAX_TEXTS:
                self._texts.popitem(last=False)
        self._texts.move_to_end(key)
        return self._texts[key]


def budget(seconds_of: Callable[[int], float], *, most: int = MAX_CALLS) -> int:
    """How many calls at a time a device should get: doubled for as long as that makes one cheaper.

    Args:
        seconds_of: how long so many calls take.
        most: calls, in any case.
    """
    calls, cost = 1, seconds_of(1)
    while 2 * calls <= most:
        cheaper = seconds_of(2 * calls) / (2 * calls)
        if cheaper > cost * WORTH_IT:
            break
        calls, cost = 2 * calls, cheaper
    return calls


def seconds(work: Callable[[], Any], *, times: int = 3) -> float:
    """The shortest of some runs, after one to warm up."""
    work()
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return min(spent)
