"""Whether the studio lives and can work, and its numbers."""

from fastapi import APIRouter, Response
from sqlalchemy import select

import pictura
from pictura.api.deps import Admin, StudioDep

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
