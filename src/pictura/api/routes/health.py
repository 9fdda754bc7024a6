"""Whether the studio lives and can work, its numbers, and the way to its pages."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import select

import pictura
from pictura.api.deps import Admin, StudioDep
from pictura.core.errors import NotFoundError

router = APIRouter(tags=["health"])


@router.get("/healthz", tags=["open"])
async def is_alive() -> dict[str, str]:
    """Whether this process answers."""
    return {"status": "ok", "version": pictura.__version__}


@router.get("/readyz", tags=["open"])
def is_ready(studio: StudioDep) -> dict[str, str]:
    """Whether jobs can be accepted: the database answers."""
    with studio.database.read() as session:
        session.execute(select(1))
    return {"status": "ready"}


@router.get("/metrics", response_class=Response)
def get_metrics(studio: StudioDep, who: Admin) -> Response:
    """Numbers for Prometheus; with login, by the key of an administrator."""
    return Response(studio.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/", include_in_schema=False)
async def go_to_pages(request: Request, studio: StudioDep) -> RedirectResponse:
    """Lead a browser to the pages."""
    port = studio.config.web_port
    if port is None:
        raise NotFoundError("There are no pages here; /openapi.json lists all addresses.")
    return RedirectResponse(str(request.url.replace(path="/", query="", port=port)), 307)
