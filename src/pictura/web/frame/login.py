"""Logging in and out: the API's token goes into a cookie that no script can read."""

from contextlib import suppress

from fastapi import APIRouter, Request
from nicegui import ui
from starlette.responses import JSONResponse, RedirectResponse, Response

from pictura.web.frame import layout, parts
from pictura.web.frame.gate import WebConfig
from pictura.web.frame.pages import Pages
from pictura.web.frame.parts import Tag, Trouble
from pictura.web.wire import COOKIE, ApiError

KEPT_S = 30 * 24 * 3600
"""As long as the API lets a login be."""
_MOST_LETTERS = 256


def add(pages: Pages, config: WebConfig) -> APIRouter:
    """Register the page, and return the routes that it sends its form to."""
    routes = APIRouter()

    @ui.page("/login", title="Log in · Pictura")
    async def login(request: Request) -> Response | None:
        try:
            await pages.api(request).session()
        except ApiError:
            _form()
            return None
        return RedirectResponse(_inside(request.query_params.get("next")), 303)

    @routes.post("/login")
    async def log_in(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=5)
        name, password = (str(form.get(field) or "")[:_MOST_LETTERS] for field in ("name", "password"))
        try:
            token = await pages.api(request).log_in(name, password)
        except ApiError as error:
            return JSONResponse({"detail": error.sentence}, error.http_status)
        answer = JSONResponse({"next": _inside(request.query_params.get("next"))})
        is_secure = (config.public_url or str(request.base_url)).startswith("https:")
        answer.set_cookie(
            COOKIE, token, max_age=KEPT_S, httponly=True, samesite="strict", secure=is_secure, path="/"
        )
        return answer

    @routes.post("/logout")
    async def log_out(request: Request) -> Response:
        answer = RedirectResponse("/login", 303)
        with suppress(ApiError):  # the cookie goes in any case
            await pages.api(request).log_out()
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    return routes


def _form() -> None:
    main, _ = layout.frame("/login", None)
    main.classes("login")
    with main, Tag("form", classes="card login-card") as form:
        with Tag("div", classes="brand"):
            parts.icon("brand")
            Tag("span", "Pictura")
        Tag("h1", "Log in")
        for name, label, kind, hint in (
            ("name", "Name", "text", "username"),
            ("password", "Password", "password", "current-password"),
        ):
            Tag("label", label, "label", for_=f"login-{name}")
            field = Tag("input", classes="field", id=f"login-{name}", name=name, type=kind, required=True)
            field.put(autocomplete=hint, autocapitalize="none", spellcheck="false", maxlength=_MOST_LETTERS)
        trouble = Trouble()
        parts.button("Log in", kind="main").put(type="submit")
    form.on("submit", js_handler=f"(event) => pictura.logIn(event, '{trouble.html_id}')")


def _inside(address: str | None) -> str:
    """A page of ours to go on to; anything else is the first page."""
    inside = address is not None and address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if inside and address else "/"
