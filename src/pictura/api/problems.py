"""Errors as each API tells them: RFC 9457 problems, OpenAI's shape under /v1, AUTOMATIC1111's under /sdapi.

No answer repeats what a client sent, but for the words of our own sentences.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from pictura.core.errors import LimitError, LoginError, PicturaError, PromptError, QueueFullError

RETRY_FULL_S = 5
"""After which a client may try again where the queue is full."""
_OPENAI_CODES = {
    "unauthenticated": "invalid_api_key",
    "rate_limited": "rate_limit_exceeded",
    "queue_full": "rate_limit_exceeded",
    "refused_by_policy": "content_policy_violation",
}
_OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_NAMES = {
    400: "bad_request",
    404: "no_such_address",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    500: "internal",
}
_OURS = "This is a mistake of Pictura's; its log has it under the id in the header x-request-id."


def install(app: FastAPI) -> None:
    """Let an app answer every error in the shape of the address that was asked."""
    app.add_exception_handler(PicturaError, _tell_ours)
    app.add_exception_handler(RequestValidationError, _tell_invalid)
    app.add_exception_handler(HTTPException, _tell_http)
    app.add_exception_handler(Exception, _tell_mistake)


def answer(path: str, error: PicturaError) -> JSONResponse:
    """An error of ours, in the shape of an address."""
    more = {
        name: getattr(error, name)
        for name in ("column", "found", "expected", "param")
        if isinstance(error, PromptError | PicturaError) and hasattr(error, name)
    }
    headers = dict[str, str]()
    if isinstance(error, LimitError) and math.isfinite(error.retry_after_s):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if isinstance(error, QueueFullError):
        headers["Retry-After"] = str(RETRY_FULL_S)
    if isinstance(error, LoginError):
        scheme = 'Basic realm="Pictura"' if path.startswith("/sdapi/") else "Bearer"
        headers["WWW-Authenticate"] = scheme
    return _shaped(path, error.http_status, error.code, str(error), more, headers)


def _shaped(
    path: str,
    status: int,
    code: str,
    sentence: str,
    more: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    extra = dict(more or {})
    if path.startswith("/v1/"):
        status = 400 if status == 422 else status
        kind = _OPENAI_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        told = {
            "message": sentence,
            "type": kind,
            "param": extra.get("param"),
            "code": _OPENAI_CODES.get(code, code),
        }
        return JSONResponse({"error": told}, status, headers=headers)
    if path.startswith("/sdapi/"):
        body = {"error": code, "detail": sentence, "body": "", "errors": extra.get("errors", [])}
        return JSONResponse(body, status, headers=headers)
    problem = {
        "type": f"urn:pictura:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": sentence,
        "code": code,
        **extra,
    }
    return JSONResponse(problem, status, headers=headers, media_type="application/problem+json")


async def _tell_ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, PicturaError)
    return answer(request.url.path, error)


async def _tell_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    wrong = [{"where": _where(one["loc"]), "message": str(one["msg"])} for one in error.errors()[:20]]
    sentence = f"{wrong[0]['where']}: {wrong[0]['message']}." if wrong else "The request is not valid."
    param = wrong[0]["where"].split(".")[-1] if wrong else None
    more = {"errors": wrong, **({"param": param} if request.url.path.startswith("/v1/") else {})}
    return _shaped(request.url.path, 422, "invalid_request", sentence, more)


async def _tell_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _NAMES.get(error.status_code, "error")
    sentence = {
        404: f"There is nothing at {request.url.path[:200]!r}; /openapi.json lists all addresses.",
        405: f"{request.url.path[:200]!r} does not take {request.method[:20]!r}.",
    }.get(error.status_code, str(error.detail))
    return _shaped(request.url.path, error.status_code, code, sentence, headers=error.headers)


async def _tell_mistake(request: Request, error: Exception) -> JSONResponse:
    return _shaped(request.url.path, 500, "internal", _OURS)


def _where(place: Sequence[Any]) -> str:
    return ".".join(str(one)[:60] for one in place)
