"""How a page comes about: who asks is found out, the frame is drawn, the page fills it."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from fastapi import Request
from nicegui import ui
from starlette.responses import RedirectResponse, Response

from pictura.web.client import Api
from pictura.web.frame import layout, parts
from pictura.web.frame.here import NOBODY, Here, login_address
from pictura.web.frame.parts import Tag
from pictura.web.wire import COOKIE, ApiError

log = logging.getLogger("pictura.web")
Show = Callable[..., Awaitable[None]]
AGAIN_S = 2.0


class Pages:
    """All pages on one API."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        """Begin without a page.

        Args:
            http: connections to the API.
        """
        self._http = http

    def api(self, request: Request) -> Api:
        """The API in the name of whoever sent a request."""
        return Api(self._http, request.cookies.get(COOKIE))

    def add(self, path: str, title: str, show: Show) -> None:
        """Register a page.

        Args:
            path: of the page; what stands in braces is given to `show` by its name.
            title: for the browser's window.
            show: builds the page; called with a `Here` and the path's parameters.
        """

        @ui.page(path, title=f"{title} · Pictura", response_timeout=10.0)
        async def build(request: Request) -> Response | None:
            api = self.api(request)
            try:
                session = await api.session()
            except ApiError as error:
                if error.code == NOBODY:
                    return RedirectResponse(login_address(request.url.path), 303)
                _show_closed(error)
                return None
            main, trouble = layout.frame(request.url.path, session)
            here = Here(api=api, session=session, client=ui.context.client, trouble=trouble)
            given: dict[str, Any] = request.path_params
            with main, here.telling():
                await show(here, **given)
            return None


def show_nowhere() -> None:
    """What is shown at addresses that lead nowhere."""
    ui.context.client.status_code = 404
    _show_alone("There is nothing here", "The address is wrong, or what was here has gone.")


def show_mistake() -> None:
    """What is shown where a page could not be built, by a mistake of ours."""
    _show_alone("This page could not be shown", "That is a mistake of Pictura's; the studio's log says more.")


def _show_alone(title: str, sentence: str) -> None:
    main, _ = layout.frame("", None)
    with main, Tag("div", classes="empty"):
        parts.icon("brand")
        Tag("h1", title)
        Tag("p", sentence, "soft")
        with Tag("p"):
            parts.link("To the first page", "/")


def _show_closed(error: ApiError) -> None:
    """What is shown where the studio does not answer: its reason, and another try soon."""
    main, _ = layout.frame("", None)
    with main, Tag("div", classes="empty", role="status"):
        parts.icon("brand")
        Tag("h1", "The studio does not answer")
        Tag("p", error.sentence, "soft")
        Tag("p", "This page tries again by itself.", "soft")
    ui.timer(AGAIN_S, lambda: ui.navigate.reload())
