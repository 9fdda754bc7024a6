"""The application of the pages: gate, static files, login, pictures, and every page by its address."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from nicegui import app as kit
from nicegui import ui
from starlette.staticfiles import StaticFiles

from pictura.web.feed import page as feed
from pictura.web.frame import layout, login, media
from pictura.web.frame.gate import Gate, WebConfig
from pictura.web.frame.pages import Pages, show_mistake, show_nowhere
from pictura.web.rooms import export, gallery, models, picture, queue, rank, settings
from pictura.web.wire import connections

RECONNECT_S = 30.0
"""So long a page is kept for a browser that lost its connection."""


def create_app(config: WebConfig) -> FastAPI:
    """All pages on one API. A process makes one: the pages' kit keeps its pages once for a process."""
    http = connections(config.api)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await http.aclose()

    app = FastAPI(title="Pictura's pages", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    pages = Pages(http)
    pages.add("/", "Create", feed.show)
    pages.add("/gallery", "Gallery", gallery.show)
    pages.add("/picture/{image_id}", "Picture", picture.show)
    pages.add("/rank", "Rank", rank.show)
    pages.add("/queue", "Queue", queue.show)
    pages.add("/models", "Models", models.show)
    pages.add("/settings", "Settings", settings.show)
    app.include_router(login.add(pages, config))
    app.include_router(media.routes(pages))
    app.include_router(export.routes(pages))
    app.mount("/static", StaticFiles(directory=layout.STATIC))
    layout.add_head()
    kit.on_page_exception(show_mistake)
    ui.run_with(
        app,
        root=show_nowhere,
        title="Pictura",
        favicon=layout.STATIC / "icon.svg",
        dark=None,
        language="en-US",
        reconnect_timeout=RECONNECT_S,
        tailwind=False,
        show_welcome_message=False,
        binding_refresh_interval=None,
    )
    app.add_middleware(Gate, config=config)
    return app
