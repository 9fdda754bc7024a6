"""Token buckets: so many requests a minute, and how long to wait where there were more."""

import math
import threading
import time
from collections.abc import Callable

_MOST = 10_000


class Buckets:
    """One bucket for each name: full at first, filled again at its own pace. It lives in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, name: str, a_minute: int) -> tuple[int, float]:
        """Take one token.

        Args:
            name: of the bucket.
            a_minute: tokens that it holds, and gets in a minute.

        Returns:
            How many are left, and 0; or 0 and the seconds until there is one again.
        """
        now = self._clock()
        with self._lock:
            left, at = self._left.pop(name, (float(a_minute), now))
            left = min(float(a_minute), left + (now - at) * a_minute / 60)
            if left < 1:
                self._left[name] = (left, now)
                return 0, (1 - left) * 60 / a_minute if a_minute else math.inf
            self._left[name] = (left - 1, now)
            if len(self._left) > _MOST:
                del self._left[next(iter(self._left))]  # the one untouched for longest
            return int(left - 1), 0.0
