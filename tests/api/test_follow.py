"""Following jobs: nothing is missed, nothing comes twice, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from pictura.api.telling import follow, sse
from pictura.api.telling.follow import Follower
from pictura.jobs.queue import Queue
from pictura.store.database import Database
from pictura.store.tables import Event
from tests.jobs.queue_kit import add_users, memory_files, submit


async def kinds(follower: Follower, *job_ids: str, after: int = 0) -> list[str]:
    async with asyncio.timeout(20), aclosing(follower.follow(job_ids, after)) as events:
        return [event.kind async for event in events]


def test_events_before_and_after_one_looks_come_once_and_in_order(database: Database) -> None:
    (anna,) = add_users(database, "anna")
    queue = Queue(database, memory_files())
    job = submit(queue, anna)
    (claim,) = queue.claim("w", 1)

    async def run() -> tuple[list[int], list[list[str]]]:
        follower = Follower(database)
        found: list[Event] = []
        others = [asyncio.create_task(kinds(follower, job)) for _ in range(3)]
        async with aclosing(follower.follow([job])) as events:
            async for event in events:
                found.append(event)
                if event.kind == "started":
                    for done in range(30):
                        await asyncio.to_thread(queue.progress, [(claim, {"done": done, "total": 30})])
                    await asyncio.to_thread(queue.cancel, job, anna)
                    await asyncio.to_thread(queue.release, claim)
        many = await asyncio.gather(*others)
        await follower.close()
        return [event.id for event in found], many

    numbers, many = asyncio.run(run())
    assert numbers == sorted(set(numbers))
    for one in many:
        assert (one[:2], one[-1]) == (["queued", "started"], "cancelled")
        assert set(one[2:-1]) <= {"progress"}


def test_whoever_comes_after_the_end_does_not_wait(database: Database) -> None:
    (anna,) = add_users(database, "anna")
    queue = Queue(database, memory_files())
    first, second = submit(queue, anna), submit(queue, anna)
    queue.cancel(first, anna)
    last = queue.events(first)[-1].id

    async def run() -> list[list[str]]:
        follower = Follower(database)
        ended = [await kinds(follower, first), await kinds(follower, first, after=last)]
        both = asyncio.create_task(kinds(follower, first, second))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(queue.cancel, second, anna)
        return [*ended, await both]

    found = asyncio.run(run())
    assert found == [["queued", "cancelled"], [], ["queued", "queued", "cancelled", "cancelled"]]


def test_a_slow_client_is_told_the_newest_progress_alone(database: Database) -> None:
    (anna,) = add_users(database, "anna")
    queue = Queue(database, memory_files())
    job = submit(queue, anna)
    (claim,) = queue.claim("w", 1)

    async def run() -> list[Any]:
        follower, told = Follower(database), []
        async with aclosing(follower.follow([job])) as events:
            async for event in events:
                if event.kind == "started":
                    for done in range(1, 6):
                        await asyncio.to_thread(queue.progress, [(claim, {"done": done, "total": 5})])
                        await asyncio.sleep(2 * follow.LOOK_S)  # each of them is seen by the follower
                    await asyncio.to_thread(queue.cancel, job, anna)
                    await asyncio.to_thread(queue.release, claim)
                    await asyncio.sleep(2 * follow.LOOK_S)
                told.append(event.payload.get("done"))
        return [done for done in told if done is not None]

    assert asyncio.run(run()) in ([], [5])  # none, where the end had already cleared it away


def test_an_event_that_two_looks_see_comes_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "LOOK_S", 0.3)
    (anna,) = add_users(database, "anna")
    queue = Queue(database, memory_files())
    first = submit(queue, anna)

    async def run() -> list[str]:
        follower = Follower(database)
        other = asyncio.create_task(kinds(follower, first))
        await asyncio.sleep(0.1)  # the follower has looked, and rests
        second = await asyncio.to_thread(submit, queue, anna)
        mine = asyncio.create_task(kinds(follower, second))
        await asyncio.sleep(0.5)  # now it has seen what was there when we came
        await asyncio.to_thread(queue.cancel, second, anna)
        found = await mine
        await follower.close()
        await other
        return found

    assert asyncio.run(run()) == ["queued", "cancelled"]


def test_a_closing_studio_ends_its_streams(database: Database) -> None:
    (anna,) = add_users(database, "anna")
    job = submit(Queue(database, memory_files()), anna)

    async def run() -> list[str]:
        follower, found, came = Follower(database), list[str](), asyncio.Event()

        async def read() -> None:
            async for event in follower.follow([job]):
                found.append(event.kind)
                came.set()

        reading = asyncio.create_task(read())
        await asyncio.wait_for(came.wait(), 30)
        await follower.close()
        await asyncio.wait_for(reading, 30)
        return found

    assert asyncio.run(run()) == ["queued"]


@pytest.mark.parametrize("leave", [True, False])
def test_a_silent_stream_shows_that_it_lives(leave: bool) -> None:
    closed = []

    async def messages() -> AsyncIterator[str]:
        try:
            yield sse.message({"a": "ä\nb"}, event="one", number=7)
            await asyncio.sleep(0.25)
            yield sse.message({}, event="two")
            await asyncio.sleep(30 if leave else 0)
        finally:
            closed.append(True)

    async def run() -> list[str]:
        found = []
        body: Any = sse.response(messages(), 0.1).body_iterator
        async for text in body:
            found.append(text)
            if leave and found.count(sse.PING) == 3:
                await body.aclose()
        return found

    found = asyncio.run(run())
    assert found[0] == 'id: 7\nevent: one\ndata: {"a": "\\u00e4\\nb"}\n\n'
    assert found[1:4] == [": ping\n\n", ": ping\n\n", "event: two\ndata: {}\n\n"]
    assert closed == [True]
