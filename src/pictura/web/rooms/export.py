"""The way to one's ratings as a file."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from pictura.web.frame.pages import Pages
from pictura.web.wire import ApiError

_PASSED_ON = ("content-type", "content-disposition")
_ASKED = ("everybody", "pictures", "what")


def routes(pages: Pages) -> APIRouter:
    """The address that the settings page links to."""
    found = APIRouter()

    @found.get("/ratings.parquet")
    async def ratings(request: Request) -> Response:
        query = {name: value for name, value in request.query_params.items() if name in _ASKED}
        try:
            answer = await pages.api(request).export_ratings(query)
        except ApiError as error:
            return JSONResponse({"code": error.code, "detail": error.sentence}, error.http_status)
        headers = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
        headers.setdefault("content-disposition", 'attachment; filename="ratings.parquet"')
        return Response(answer.content, headers={**headers, "Cache-Control": "no-store"})

    return found
