"""Pictures, as the API gives them to whoever looks: pages show no address of the API."""

from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from pictura.web.frame.pages import Pages
from pictura.web.wire import ApiError

_PASSED_ON = ("content-type", "etag", "cache-control", "content-disposition")
_ASKED = ("format", "background")


def routes(pages: Pages) -> APIRouter:
    """The way to pictures."""
    found = APIRouter()

    @found.get("/media/{image_id}/{part}")
    async def media(image_id: str, part: Literal["file", "thumb"], request: Request) -> Response:
        query = {name: value for name, value in request.query_params.items() if name in _ASKED}
        if "download" in request.query_params:
            query["download"] = "true"  # the studio remembers it
        try:
            answer = await pages.api(request).file(
                image_id, part, query, request.headers.get("if-none-match")
            )
        except ApiError as error:
            return JSONResponse({"code": error.code, "detail": error.sentence}, error.http_status)
        headers = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
        headers["Vary"] = "Cookie"  # what one user may keep is not another's
        return Response(answer.content, answer.status_code, headers)

    return found
