"""Painting in steps that others can stand between: a way of painting is a generator of network calls.

A way says what it wants computed and is sent the answer; it never calls a network itself. So one loop can
drive a single request to its end (`drive`), and another many requests at a time, each at its own step,
batched or one after another, and let requests come and go between any two calls.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pictura.sample.from_picture import Given

T = TypeVar("T")


class Call(NamedTuple):
    """A wish that a network be called."""

    method: str
    """Of the model's backend, such as `velocity`."""
    args: tuple[Any, ...]


class Calls(NamedTuple):
    """A wish that several calls be answered, in any order, at the same time where that is possible."""

    calls: tuple[Call, ...]
    """Answered by a list, in this order."""


class Progress(NamedTuple):
    """A step is done. Nothing is computed; the answer is not looked at."""

    done: int
    """Steps of network calls so far, over all pictures of the request."""
    total: int
    preview: Call | None = None
    """The call that would show the pictures as they are now."""


Way = Generator[Call | Calls | Progress, Any, T]
"""Of painting: yields calls, is sent their answers, returns what it made."""
OnStep = Callable[[int, int], None]
"""Called with (network steps done, network steps in all), over all pictures."""


class Seen(NamedTuple):
    """What a CLIP sees in given pictures, for painters by imagination."""

    vector: NDArray[np.float32]
    """(1, D) of length 1."""
    share: float
    """Of the way from the vector that the prior imagines to this one; 1 needs no prior."""


class Asked(NamedTuple):
    """What is to be painted."""

    prompt: str
    seed: int
    numbers: Sequence[int]
    """Which of the seed's pictures."""
    settings: Mapping[str, Any]
    given: Given | None = None
    """A picture to begin with."""
    seen: Seen | None = None


class Painted(NamedTuple):
    """What came out of the networks."""

    images: NDArray[np.float32]
    """(B, 3 or 4, H, W) in [0, 1], premultiplied."""
    notices: tuple[str, ...] = ()
    """What a person should know about them."""
    attention: NDArray[np.float32] | None = None
    """(B, T, h, w) how much each place looks at each token, where a family attends to words."""


def answer(backend: Any, call: Call) -> Any:
    """Compute what a call asks for."""
    return getattr(backend, call.method)(*call.args)


def drive(way: Way[T], backend: Any, on_step: OnStep | None = None) -> T:
    """Follow one way to its end.

    Args:
        way: that has not begun.
        backend: of the model that it paints with.
        on_step: told of progress.

    Returns:
        What the way returns.
    """
    try:
        wish = next(way)
        while True:
            reply = None
            if isinstance(wish, Call):
                reply = answer(backend, wish)
            elif isinstance(wish, Calls):
                reply = [answer(backend, call) for call in wish.calls]
            elif on_step:
                on_step(wish.done, wish.total)
            wish = way.send(reply)
    except StopIteration as end:
        made: T = end.value
        return made
