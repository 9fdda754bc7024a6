"""Server-sent events: what goes over the wire, and signs of life while nothing happens."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi.responses import StreamingResponse

PING = ": ping\n\n"


def message(data: Mapping[str, Any], *, event: str | None = None, number: int | None = None) -> str:
    """One event; JSON has no line break, so that it is one line of data."""
    lines = [f"id: {number}"] if number is not None else []
    lines += [f"event: {event}"] if event else []
    return "\n".join([*lines, f"data: {json.dumps(data)}"]) + "\n\n"


def response(messages: AsyncIterator[str], ping_s: float) -> StreamingResponse:
    """A stream of messages, with a comment where none came for `ping_s` seconds."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_alive(messages, ping_s), media_type="text/event-stream", headers=headers)


async def _alive(messages: AsyncIterator[str], ping_s: float) -> AsyncIterator[str]:
    """The same messages and pings; the waiting for the next message goes on while a ping is sent."""
    coming: asyncio.Future[str] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(messages))
            done, _ = await asyncio.wait((coming,), timeout=ping_s)
            if not done:
                yield PING
                continue
            try:
                text = coming.result()
            except StopAsyncIteration:
                return
            coming = None
            yield text
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.wait((coming,))
        close = getattr(messages, "aclose", None)
        if close is not None:
            await close()
