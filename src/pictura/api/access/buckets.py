"""Token buckets: so many requests a minute over all processes of the API, and how long to wait after more.

The buckets are in the database. A process takes a twentieth of a bucket at a time and spends it from memory,
so that few requests write; a burst may be longer by one such share for each process.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from pictura.store.database import Database
from pictura.store.tables import Bucket

SHARES = 20
"""A bucket is taken in so many parts."""
_MOST = 10_000


@dataclass(kw_only=True, slots=True)
class _Own:
    """What this process took out of a bucket."""

    a_minute: int
    """The limit that then held."""
    tokens: int = 0
    left: int = 0
    """In the database, when we last looked."""
    empty_until: float = -math.inf
    """Until then there is nothing to be had."""


class Buckets:
    """One bucket for each name: full at first, filled again at its own pace."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without tokens.

        Args:
            database: that holds the buckets.
            clock: seconds that pass.
        """
        self._database, self._clock = database, clock
        self._lock = threading.Lock()
        self._own: OrderedDict[str, _Own] = OrderedDict()

    def take(self, name: str, a_minute: int) -> tuple[int, float]:
        """Take one token.

        Args:
            name: of the bucket, at most 128 characters.
            a_minute: tokens that it holds, and gets in a minute.

        Returns:
            How many are left, and 0; or 0 and the seconds until there is one again.
        """
        if not a_minute:
            return 0, math.inf
        with self._lock:
            own = self._own.get(name)
            if own is None or own.a_minute != a_minute:
                own = self._own[name] = _Own(a_minute=a_minute)
            self._own.move_to_end(name)
            if len(self._own) > _MOST:
                self._own.popitem(last=False)
            if own.tokens:
                own.tokens -= 1
                return own.tokens + own.left, 0.0
            if (wait_s := own.empty_until - self._clock()) > 0:
                return 0, wait_s
        tokens, left = self._draw(name, a_minute)
        with self._lock:
            own.left = int(left)
            if not tokens:
                wait_s = (1 - left) * 60 / a_minute
                own.empty_until = self._clock() + wait_s
                return 0, wait_s
            own.tokens += tokens - 1
            return own.tokens + own.left, 0.0

    def _draw(self, name: str, a_minute: int) -> tuple[int, float]:
        """Take a share out of the database: its tokens, and what is left there."""
        with self._database.write(synced=False) as session:
            now = self._database.now(session)
            row = session.get(Bucket, name) or Bucket(name=name, left=float(a_minute), at=now)
            left = min(float(a_minute), row.left + max(0.0, now - row.at) * a_minute / 60)
            tokens = min(int(left), math.ceil(a_minute / SHARES))
            row.left, row.at = left - tokens, now
            session.add(row)
            return tokens, row.left
