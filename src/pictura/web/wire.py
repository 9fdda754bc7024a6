"""How the API is asked: over HTTP, in the name of one visitor, with refusals as one exception."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote

import httpx

from pictura.core.errors import PicturaError
from pictura.web.told import Event

COOKIE = "pictura_login"
"""The API's cookie; browsers hold the same one for the pages."""
CSRF_HEADER = "x-csrf-token"
ANSWER_S = 60.0
_CONNECT_S = 5.0
_STREAM_S = 45.0
"""Three of the API's signs of life."""


class ApiError(PicturaError):
    """What the API refused, in its own sentence, or that it does not answer."""

    code = "studio_gone"
    http_status = 502

    def __init__(
        self,
        sentence: str,
        *,
        code: str = "studio_gone",
        status: int = 502,
        column: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
        self.http_status = status
        self.column = column
        """Of a prompt's first wrong letter, from 1."""
        self.retry_after_s = retry_after_s

    @classmethod
    def of(cls, response: httpx.Response) -> "ApiError":
        """What an answer that was read to its end refuses."""
        try:
            problem = json.loads(response.content)
        except ValueError:
            problem = {}
        problem = problem if isinstance(problem, dict) else {}
        column, wait = problem.get("column"), response.headers.get("retry-after", "")
        return cls(
            str(problem.get("detail") or f"The studio answered {response.status_code} and did not say why."),
            code=str(problem.get("code") or "error"),
            status=response.status_code,
            column=column if isinstance(column, int) else None,
            retry_after_s=float(wait) if wait.isdigit() else None,
        )


def connections(url: str) -> httpx.AsyncClient:
    """Connections to an API, for any number of visitors; whoever makes it closes it (`aclose`).

    Args:
        url: of the API, such as http://127.0.0.1:7860.
    """
    nobodys = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    return httpx.AsyncClient(
        base_url=url,
        timeout=httpx.Timeout(ANSWER_S, connect=_CONNECT_S),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        cookies=nobodys,
        trust_env=False,
    )


def at(*parts: str) -> str:
    """An address of the API; what is not a plain name is written so that it stays one part."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


class Wire:
    """Requests in the name of one visitor."""

    def __init__(self, http: httpx.AsyncClient, token: str | None = None) -> None:
        """Make it; nothing is asked yet.

        Args:
            http: from `connections`.
            token: of the visitor's login; None where nobody logs in.
        """
        self._http = http
        self.token = token
        self._csrf: str | None = None

    async def log_in(self, name: str, password: str) -> str:
        """Go on as somebody; returns the token that their browser shall keep."""
        response = await self.ask("POST", "/session", {"name": name, "password": password})
        cookie = SimpleCookie(response.headers.get("set-cookie", "")).get(COOKIE)
        if cookie is None:
            raise ApiError("The studio let you in but gave no cookie.", code="error", status=500)
        self.token, self._csrf = cookie.value, response.json().get("csrf_token")
        return self.token

    async def log_out(self) -> None:
        """Go on as nobody."""
        await self.ask("DELETE", "/session")
        self.token = self._csrf = None

    async def json(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        timeout: float = ANSWER_S,
    ) -> dict[str, Any]:
        """Ask for an object in JSON.

        Raises:
            ApiError: it was refused, or nobody answers.
        """
        response = await self.ask(method, path, body, query=query, timeout=timeout)
        try:
            found = json.loads(response.content or b"{}")
        except ValueError as error:
            raise ApiError(f"What the studio answered at {path} is no JSON.") from error
        if not isinstance(found, dict):
            raise ApiError(f"The studio answered something else than was expected at {path}.")
        return found

    async def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = ANSWER_S,
    ) -> httpx.Response:
        """Ask for anything.

        Args:
            method: of HTTP.
            path: behind ``/api/v1``.
            body: sent as JSON.
            query: what is None is left out.
            headers: beside those that say who asks.
            timeout: in seconds.

        Raises:
            ApiError: it was refused, or nobody answers.
        """
        asked = self._http.build_request(
            method,
            f"/api/v1{path}",
            json=body,
            params={name: value for name, value in (query or {}).items() if value is not None},
            headers={**(headers or {}), **await self._names(method, path)},
            timeout=httpx.Timeout(timeout, connect=_CONNECT_S),
        )
        try:
            response = await self._http.send(asked)
        except httpx.TransportError as error:
            raise ApiError("The studio does not answer; it may be starting again.") from error
        if response.is_error:
            raise ApiError.of(response)
        return response

    async def _names(self, method: str, path: str) -> dict[str, str]:
        """The headers that say who asks; changes carry the token that no page of another site has."""
        if self.token is None:
            return {}
        found = {"Cookie": f"{COOKIE}={self.token}"}
        if method != "GET" and not (method == "POST" and path == "/session"):
            if self._csrf is None:
                self._csrf = (await self.json("GET", "/session")).get("csrf_token")
            found[CSRF_HEADER] = self._csrf or ""
        return found

    async def stream(self, job_id: str, after: int) -> AsyncGenerator[Event]:
        """The events of one connection."""
        kind, number = "", after
        async with self._opened(job_id, after) as response:
            async for line in response.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "id" and value.isdecimal():
                    number = int(value)
                elif name == "data":
                    yield Event(kind=kind, number=number, data=json.loads(value))

    @asynccontextmanager
    async def _opened(self, job_id: str, after: int) -> AsyncIterator[httpx.Response]:
        path = at("jobs", job_id, "events")
        headers = {"Last-Event-ID": str(after), **await self._names("GET", path)}
        limit = httpx.Timeout(ANSWER_S, connect=_CONNECT_S, read=_STREAM_S)
        try:
            async with self._http.stream("GET", f"/api/v1{path}", headers=headers, timeout=limit) as response:
                if response.is_error:
                    await response.aread()
                    raise ApiError.of(response)
                yield response
        except (httpx.TransportError, httpx.StreamError, ValueError) as error:
            raise ApiError("The studio broke off in the midst of its events.") from error
