"""Who is next: lanes first, then the user served longest ago, then order of arrival.

A job that has waited for `ageing_s` counts as one lane more urgent, one that has waited twice as long as two.
So every job reaches the first lane, and there its user's turn comes after at most one job of each other user:
nothing starves, and one user with a thousand jobs delays another by one.
"""

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pictura.store.tables import LANES, Lane


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A job in the line, as far as its turn depends on it."""

    job_id: str
    user_id: str
    lane: Lane
    created_at: float


def in_turn(
    waiting: Iterable[Waiting], served: Mapping[str, int], now: float, ageing_s: float
) -> Iterator[Waiting]:
    """Go down the line.

    Args:
        waiting: all jobs that wait, in order of arrival.
        served: number of the last turn of each user, looked at anew for every job that is asked for: who
            takes a job for a user writes a higher number into it.
        now: seconds since 1970.
        ageing_s: seconds that raise a job by one lane.

    Yields:
        Each job once.
    """
    lines: dict[tuple[str, Lane], deque[Waiting]] = defaultdict(deque)
    for job in waiting:
        lines[job.user_id, job.lane].append(job)

    def turn(job: Waiting) -> tuple[int, int, str]:
        return lane_after(job.lane, now - job.created_at, ageing_s), served.get(job.user_id, 0), job.job_id

    heads = [(turn(line[0]), line) for line in lines.values()]
    heapq.heapify(heads)
    while heads:
        known, line = heads[0]
        if known < (now_due := turn(line[0])):  # its user was served meanwhile
            heapq.heapreplace(heads, (now_due, line))
            continue
        heapq.heappop(heads)
        yield line.popleft()
        if line:
            heapq.heappush(heads, (turn(line[0]), line))


def lane_after(lane: Lane, waited_s: float, ageing_s: float) -> int:
    """The place among `LANES` that a job counts for after waiting."""
    return max(0, LANES.index(lane) - max(0, int(waited_s // ageing_s)))
