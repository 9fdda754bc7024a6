"""The gate before every route: who asks, how often, how many bytes; what happened, counted and logged.

Nothing of a body is read before its sender may send it. The log has no query, no prompt and no body.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pictura.api import problems
from pictura.api.access.accounts import Who
from pictura.api.access.entry import OPEN, identify
from pictura.api.studio import Studio
from pictura.core.errors import LimitError, PicturaError, TooLargeError

log = logging.getLogger("pictura.api")
BODY_S = 60.0
"""In which a whole body must have come."""
LOGINS_A_MINUTE = 10
"""From one address; passwords must not be guessed."""
DRAIN_BYTES = 64 * 2**20
_UPLOADS = ("/v1/images/edits", "/v1/images/variations", "/sdapi/v1/")
_PICTURES = ("/api/v1/jobs", "/api/v1/images/", "/api/v1/describe")
_PREFIXES = ("/api/v1", "/v1", "/sdapi/v1")
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Gate:
    """ASGI middleware; `scope["state"]["who"]` is who asks."""

    def __init__(self, app: ASGIApp, studio: Studio) -> None:
        self._app, self._studio = app, studio

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = _Seen(scope, send)
        try:
            await self._pass(scope, receive, seen)
        finally:
            self._tell(scope, seen)

    async def _pass(self, scope: Scope, receive: Receive, seen: "_Seen") -> None:
        headers, path = Headers(scope=scope), scope["path"]
        body = _Body(receive, self._most(path), headers)
        try:
            await run_in_threadpool(self._enter, scope, headers, seen)
            body.check_length()
        except PicturaError as error:
            self._studio.metrics.refused.labels(error.code).inc()
            await body.drain()
            await problems.answer(path, error)(scope, receive, seen)
            return
        await self._app(scope, body, seen)

    def _enter(self, scope: Scope, headers: Headers, seen: "_Seen") -> None:
        """Find out who asks, and whether they asked too often."""
        query = QueryParams(scope["query_string"])
        seen.who = identify(self._studio, scope["method"], scope["path"], headers, query)
        scope.setdefault("state", {})["who"] = seen.who
        seen.more = self._count(scope, seen.who)

    def _most(self, path: str) -> int:
        config = self._studio.config
        if path.startswith(_UPLOADS):
            return config.upload_bytes
        return config.picture_bytes if path.startswith(_PICTURES) else config.body_bytes

    def _count(self, scope: Scope, who: Who | None) -> Mapping[str, str]:
        """Take a token of the user's bucket; where nobody is known yet, of the address's."""
        if who is None:
            if scope["path"] in OPEN:
                return {}
            name, limit = f"address {(scope.get('client') or ('',))[0]}", LOGINS_A_MINUTE
        else:
            name, limit = f"user {who.user_id}", who.limits.requests_a_minute or 0
            if who.limits.requests_a_minute is None:
                return {}
        left, wait_s = self._studio.buckets.take(name, limit)
        if wait_s:
            raise LimitError(
                f"More than {limit} requests within a minute; wait a little.", retry_after_s=wait_s
            )
        return {"x-ratelimit-limit-requests": str(limit), "x-ratelimit-remaining-requests": str(left)}

    def _tell(self, scope: Scope, seen: "_Seen") -> None:
        route = _route(scope)
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        metrics = self._studio.metrics
        spent = time.perf_counter() - seen.began
        metrics.requests.labels(method, route, seen.status).inc()
        metrics.seconds.labels(method, route).observe(spent)
        user = seen.who.user_id if seen.who else "-"
        log.info(
            "%s %s %d %.0f ms user %s request %s", method, route, seen.status, 1000 * spent, user, seen.id
        )


def _route(scope: Scope) -> str:
    """The address as the routes name it, with its parameters as names."""
    path = getattr(scope.get("route"), "path", None)
    if path is None:
        return "none"
    prefix = next((one for one in _PREFIXES if scope["path"].startswith(one)), "")
    return path if path.startswith(prefix) else prefix + path


class _Seen:
    """Passes an answer on, with the headers that every answer has, and remembers its status."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self.began = time.perf_counter()
        self.id = secrets.token_hex(8)
        self.status = 500
        self.who: Who | None = None
        self.more: Mapping[str, str] = {}

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in {**_SAFE_HEADERS, **self.more, "x-request-id": self.id}.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


class _Body:
    """Receives a body of at most so many bytes, within a minute."""

    def __init__(self, receive: Receive, most: int, headers: Headers) -> None:
        self._receive, self._most = receive, most
        self._length = headers.get("content-length")
        self._waits_for_leave = "expect" in headers
        self._came, self._done = 0, False
        self._until = time.monotonic() + BODY_S

    def check_length(self) -> None:
        """Refuse a body that says itself that it is too large."""
        if self._length is not None and self._length.isdigit() and int(self._length) > self._most:
            raise self._too_large()

    async def __call__(self) -> Message:
        if self._done:
            return await self._receive()
        message = await self._next()
        if self._came > self._most:
            raise HTTPException(413, str(self._too_large()))
        return message

    async def drain(self) -> None:
        """Take what is under way, and keep nothing: some senders listen only when they have sent all."""
        length = self._length or "0"
        if self._waits_for_leave or not length.isdigit() or not 0 < int(length) <= DRAIN_BYTES:
            return
        with contextlib.suppress(HTTPException):
            while not self._done:
                await self._next()

    async def _next(self) -> Message:
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, self._until - time.monotonic()))
        except TimeoutError as error:
            raise HTTPException(408, f"The request's body did not come within {BODY_S:g} s.") from error
        self._came += len(message.get("body", b""))
        self._done = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    def _too_large(self) -> TooLargeError:
        size = f"{self._most / 2**20:g} MB" if self._most >= 2**20 else f"{self._most // 1024} KB"
        return TooLargeError(f"A request may have at most {size} here. Send less.")
