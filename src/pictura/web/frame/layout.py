"""The frame around every page: head with styles, navigation, the one main region."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from nicegui import ui

from pictura.web.frame import parts
from pictura.web.frame.parts import Tag, Trouble
from pictura.web.told import Session

STATIC = Path(__file__).parents[1] / "static"


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """A page that the navigation leads to."""

    path: str
    name: str
    icon: str


ROOMS = (
    Room(path="/", name="Create", icon="spark"),
    Room(path="/gallery", name="Gallery", icon="grid"),
    Room(path="/rank", name="Rank", icon="scales"),
    Room(path="/queue", name="Queue", icon="queue"),
    Room(path="/models", name="Models", icon="cube"),
    Room(path="/settings", name="Settings", icon="sliders"),
)


def add_head() -> None:
    """Link styles and scripts into every page; the first script runs before anything is drawn."""
    script = (STATIC / "first.js").read_text(encoding="utf-8")
    sheets = "".join(
        f'<link rel="stylesheet" href="{_versioned(name)}">'
        for name in ("theme.css", "feed.css", "rooms.css")
    )
    ui.add_head_html(
        f"<script>{script}</script>{sheets}"
        f'<script defer src="{_versioned("pictura.js")}"></script>'
        '<meta name="theme-color" content="#fbfaf8" media="(prefers-color-scheme: light)">'
        '<meta name="theme-color" content="#141619" media="(prefers-color-scheme: dark)">',
        shared=True,
    )


def frame(path: str, session: Session | None) -> tuple[Tag, Trouble]:
    """Build the frame.

    Args:
        path: of the page, which the navigation marks.
        session: who looks; None draws no navigation.

    Returns:
        The main region, to be filled, and the page's own line for trouble, which stands above it.
    """
    Tag("a", "Skip to the content", "skip", href="#main")
    if session is not None:
        _head(path, session)
    main = Tag("main", classes="main", id="main", tabindex="-1")
    with main:
        trouble = Trouble()
    return main, trouble


def _head(path: str, session: Session) -> None:
    with Tag("header", classes="head"):
        with Tag("a", classes="brand", href="/", aria_label="Pictura: create"):
            parts.icon("brand")
            Tag("span", "Pictura")
        with Tag("nav", classes="nav", aria_label="Rooms"):
            for room in ROOMS:
                current = "page" if _is_in(path, room.path) else None
                with Tag("a", classes="nav-link", href=room.path, aria_current=current):
                    parts.icon(room.icon)
                    Tag("span", room.name)
        with Tag("div", classes="head-end"):
            theme = parts.button("Light or dark", icon="moon", kind="quiet", hide_label=True)
            theme.on("click", js_handler="() => pictura.turn()")
            if session.by == "login":
                _account(session)


def _account(session: Session) -> None:
    with Tag("form", classes="account", method="post", action="/logout"):
        Tag("span", session.user.name, "account-name", title=f"Logged in as {session.user.name}")
        leave = parts.button("Log out", icon="leave", kind="quiet", hide_label=True)
        leave.put(type="submit")


def _is_in(path: str, room: str) -> bool:
    if room == "/gallery" and path.startswith("/picture/"):
        return True
    return path == room if room == "/" else path.startswith(room)


def _versioned(name: str) -> str:
    """Address of a file that changes with what is in it."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?v={digest}"
