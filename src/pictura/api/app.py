"""The application: gate, routes, errors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi

import pictura
from pictura.api import problems
from pictura.api.access.entry import COOKIE, CSRF_HEADER
from pictura.api.access.gate import Gate
from pictura.api.config import ApiConfig
from pictura.api.routes import (
    accounts,
    actions,
    health,
    images,
    jobs,
    learning,
    models,
    openai,
    ratings,
    sdapi,
)
from pictura.api.schemas.native import Problem
from pictura.api.studio import Studio

_PROBLEM: dict[str, Any] = {
    "model": Problem,
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    "description": "What went wrong.",
}


def create_app(config: ApiConfig) -> FastAPI:
    """The whole API on one database.

    Args:
        config: how it is reached and what it allows.

    Raises:
        PicturaError: the database cannot be opened.
    """
    studio = Studio(config)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        studio.sweeper.start()
        yield
        await studio.close()

    app = FastAPI(
        title="Pictura",
        version=pictura.__version__,
        summary="Write a sentence, get four pictures, choose.",
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.studio = studio
    problems.install(app)
    app.add_middleware(Gate, studio=studio)
    native = APIRouter(prefix="/api/v1", responses={"4XX": _PROBLEM})
    for routes in (jobs, actions, images, ratings, models, learning, accounts):
        native.include_router(routes.router)
    app.include_router(native)
    app.include_router(openai.router)
    app.include_router(sdapi.router)
    app.include_router(health.router)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the ways to say who one is."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            routes=app.routes,
            openapi_version="3.1.0",
        )
        found["components"]["securitySchemes"] = {
            "key": {"type": "http", "scheme": "bearer", "description": "A key that begins with pic_."},
            "login": {
                "type": "apiKey",
                "in": "cookie",
                "name": COOKIE,
                "description": f"A browser's login; changes need the header {CSRF_HEADER}.",
            },
        }
        found["security"] = [{"key": []}, {"login": []}]
        for operations in found["paths"].values():
            for operation in operations.values():
                for told in operation.get("responses", {}).values():
                    if "application/problem+json" in told.get("content", {}):
                        told["content"].pop("application/json", None)
                if "open" in operation.get("tags", ()):
                    operation["security"] = []
        app.openapi_schema = found
    return app.openapi_schema
