"""The gate before every page: which names the pages answer to, and whose pages may speak to them.

A page of another site must neither read nor change anything here, in the name of a browser that is logged in
or of a studio without login. So the name that was asked for is looked at, and the origin of every websocket
and of every request that changes something.
"""

import ipaddress
import json
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pictura.core.errors import ConfigError

_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; "  # the kit compiles templates in the browser
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "same-origin",  # without any, browsers hide the origin of our own forms too
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
MEDIA = "/media/"


@dataclass(frozen=True, kw_only=True, slots=True)
class WebConfig:
    """How the pages are reached, and where the API is."""

    api: str
    """Address of the API, such as http://127.0.0.1:7860."""
    host: str = "127.0.0.1"
    """The address that is listened on."""
    login: bool = False
    """Whether people log in. Without it whoever reaches the pages may do everything."""
    public_url: str | None = None
    """How browsers reach the pages where another server stands before them."""

    def __post_init__(self) -> None:
        if not self.login and not is_this_machine(self.host):
            raise ConfigError(
                f"Whoever reaches {self.host} could do everything, for nobody has to log in. "
                "Give the studio an administrator, or let the pages listen on 127.0.0.1."
            )


def is_this_machine(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Gate:
    """ASGI middleware that refuses what comes from elsewhere, and adds the headers that every answer has."""

    def __init__(self, app: ASGIApp, config: WebConfig) -> None:
        self._app, self._config = app, config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request or websocket pass, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        wrong = self._wrong(scope)
        if wrong is not None:
            await _refuse(scope, send, wrong)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)

    def _wrong(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._config.login and not self._is_known(_without_port(host)):
            return f"These pages answer to names of their own machine; the request was to {host[:100]!r}."
        is_read = scope["type"] == "http" and scope["method"] in _SAFE
        origin = headers.get("origin")
        if is_read or origin is None or origin == self._config.public_url:
            return None
        if origin.partition("://")[2] != host:
            return f"Pages of other sites may do nothing here; this one is of {origin[:100]!r}."
        return None

    def _is_known(self, host: str) -> bool:
        public = (self._config.public_url or "").partition("://")[2]
        return host == self._config.host or is_this_machine(host) or host == _without_port(public) != ""


async def _refuse(scope: Scope, send: Send, sentence: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4403, "reason": sentence[:100]})
        return
    body = json.dumps({"code": "not_allowed", "detail": sentence}).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host
