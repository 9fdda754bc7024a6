"""The settings: what may be learnt from one's ratings, keys of programs, looks, and who one is."""

import datetime
from collections.abc import Mapping
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from pictura.web.frame import parts
from pictura.web.frame.here import Here
from pictura.web.frame.parts import Tag
from pictura.web.told import Key

SCOPES: Mapping[str, str] = {
    "generate": "paint, and change what it painted",
    "rate": "rate pictures",
    "admin": "everything that an administrator may",
}
THEMES: Mapping[str, str] = {"system": "As the system", "light": "Light", "dark": "Dark"}
LIMITS: Mapping[str, str] = {
    "requests_a_minute": "Requests a minute",
    "pending_jobs": "Jobs that wait or run",
    "images_a_day": "Pictures a day",
    "images_a_job": "Pictures in a job",
    "pixels": "Pixels of a picture",
    "steps": "Steps for a picture",
}


async def show(here: Here) -> None:
    """Build the page."""
    parts.heading("Settings")
    with Tag("div", classes="settings"):
        with Tag("div", classes="stack"):
            _Learning(here).build()
            _Ratings(here).build()
            _looks()
        with Tag("div", classes="stack"):
            await _Keys(here).build()
            _account(here)


def _section(title: str, sentence: str, anchor: str) -> Tag:
    found = Tag("section", classes="card setting", id=anchor, aria_labelledby=f"{anchor}-title")
    with found:
        Tag("h2", title, id=f"{anchor}-title")
        Tag("p", sentence, "soft")
    return found


class _Learning:
    """Whether models may learn from one's ratings."""

    def __init__(self, here: Here) -> None:
        self._here = here

    def build(self) -> None:
        with _section(
            "Learning",
            "If you allow it, models of this studio may learn from what you like, choose and rank. You can "
            "stop it at any time: what is learnt from then on leaves your ratings out.",
            "learning",
        ):
            self._trouble = parts.Trouble()
            checked = True if self._here.session.train_on_ratings else None
            with Tag("label", classes="switch"):
                self._box = Tag("input", type="checkbox", role="switch", checked=checked)
                Tag("span", "Models may learn from my ratings")
            self._box.on("change", self._change, js_handler="(event) => emit(event.target.checked)")
            self._past = parts.button("Also what I rated before", self._allow_past)
            self._past.put(hidden=None if self._here.session.train_on_ratings else True)

    async def _allow_past(self) -> None:
        with self._here.telling(self._trouble):
            await self._here.api.consent(True, past=True)
            self._here.toast("Models may learn from all your ratings.")

    async def _change(self, event: GenericEventArguments) -> None:
        wanted, taken = bool(event.args), False
        with self._here.telling(self._trouble):
            taken = (await self._here.api.consent(wanted)).train_on_ratings is wanted
        if taken:
            self._past.put(hidden=None if wanted else True)
            self._here.toast(
                "Models may learn from your ratings." if wanted else "No model learns from them."
            )
        else:
            self._here.client.run_javascript(
                f"getHtmlElement({self._box.id}).checked = {str(not wanted).lower()}"
            )


class _Ratings:
    """What one rated: to take along, or to be forgotten."""

    def __init__(self, here: Here) -> None:
        self._here = here

    def build(self) -> None:
        with _section(
            "Your ratings",
            "Likes, choices between pictures and what you did with them, with what was shown beside. They "
            "are yours: take them along as Parquet files, or have them forgotten.",
            "ratings",
        ):
            self._trouble = parts.Trouble()
            with Tag("div", classes="row"):
                parts.link("Export pairs", "/ratings.parquet?what=pairs", icon="download", download=True)
                parts.link("Export all", "/ratings.parquet?what=events", icon="download", download=True)
                parts.button("Delete all", self._ask, icon="trash", kind="danger")
        self._dialog = parts.Dialog("Delete all your ratings?")
        with self._dialog:
            Tag("p", "Likes, choices and ranked pairs are forgotten. This cannot be undone; pictures stay.")
            with Tag("div", classes="row dialog-end"):
                parts.button("Keep them", self._dialog.close)
                parts.button("Delete all ratings", self._delete, kind="danger")

    def _ask(self) -> None:
        self._dialog.open()

    async def _delete(self) -> None:
        self._dialog.close()
        with self._here.telling(self._trouble):
            await self._here.api.delete_ratings()
            self._here.toast("All your ratings are forgotten.")


class _Keys:
    """Keys of programs: made, shown once, revoked."""

    def __init__(self, here: Here) -> None:
        self._here = here

    async def build(self) -> None:
        with _section(
            "API keys",
            "Programs that work in your name send a key as Authorization: Bearer. It is shown once.",
            "keys",
        ):
            self._trouble = parts.Trouble()
            self._new = Tag("div", role="status")
            self._list = Tag("div")
            with Tag("fieldset", classes="scopes"):
                Tag("legend", "A new key may")
                self._boxes = {
                    scope: self._box(scope) for scope in SCOPES if scope in self._here.session.scopes
                }
            parts.button("Make a key", self._make, icon="key")
        with self._here.telling(self._trouble):
            self._draw(await self._here.api.keys())

    def _box(self, scope: str) -> list[bool]:
        """A box to tick; the list holds whether it is."""
        ticked = [scope == "generate"]

        def change(event: GenericEventArguments) -> None:
            ticked[0] = bool(event.args)

        with Tag("label", classes="tick"):
            box = Tag("input", type="checkbox", checked=True if ticked[0] else None, value=scope)
            Tag("span", SCOPES[scope])
        box.on("change", change, js_handler="(event) => emit(event.target.checked)")
        return ticked

    async def _make(self) -> None:
        with self._here.telling(self._trouble):
            made = await self._here.api.make_key(
                [scope for scope, (ticked,) in self._boxes.items() if ticked]
            )
            self._new.clear()
            with self._new, Tag("div", classes="new-key"):
                Tag("p", "This is the one time that it is shown. Copy it now.")
                with Tag("div", classes="row"):
                    Tag("code", made.key)
                    parts.button("Copy", lambda: ui.clipboard.write(made.key), icon="copy")
            self._draw(await self._here.api.keys())

    def _draw(self, keys: list[Key]) -> None:
        self._list.clear()
        alive = [key for key in keys if key.revoked_at is None]
        with self._list:
            if not alive:
                Tag("p", "There is no key yet.", "soft small")
                return
            with Tag("table", classes="table"):
                with Tag("thead"), Tag("tr"):
                    for name in ("Key", "May", "Made", "Last used", ""):
                        Tag("th", name, scope="col")
                with Tag("tbody"):
                    for key in alive:
                        self._row(key)

    def _row(self, key: Key) -> None:
        async def revoke() -> None:
            with self._here.telling(self._trouble):
                await self._here.api.revoke_key(key.id)
                self._new.clear()
                self._draw(await self._here.api.keys())

        with Tag("tr"):
            with Tag("td"):
                Tag("code", f"{key.prefix}…")
            Tag("td", ", ".join(key.scopes))
            Tag("td", _date(key.created_at), "soft")
            Tag("td", _date(key.last_used_at), "soft")
            with Tag("td", classes="end"):
                parts.button("Revoke", revoke, kind="danger", aria_label=f"Revoke the key {key.prefix}")


def _looks() -> None:
    with _section("Looks", "Kept in this browser.", "looks"):
        with Tag("div", classes="choices", role="radiogroup", aria_label="Light or dark"):
            for name, label in THEMES.items():
                with Tag("label", classes="choice"):
                    box = Tag("input", type="radio", name_="theme", value=name)
                    Tag("span", label)
                box.on("change", js_handler="(event) => pictura.theme(event.target.value)")
        ui.run_javascript(
            "document.querySelectorAll('input[name=theme]')"
            ".forEach((box) => { box.checked = box.value === pictura.theme(); })"
        )


def _account(here: Here) -> None:
    user = here.session.user
    who = (
        "You are the one user of this machine's studio."
        if here.session.by == "local"
        else f"You are {user.name}."
    )
    with _section("You", who, "you"):
        with Tag("dl", classes="facts numbers"):
            _fact("Role", user.role)
            for name, label in LIMITS.items():
                limit: Any = user.limits.get(name)
                _fact(label, "no limit" if limit is None else f"{limit:,}")
        if here.session.by == "login":
            with Tag("form", method="post", action="/logout"):
                parts.button("Log out", icon="leave").put(type="submit")


def _fact(name: str, value: str) -> None:
    with Tag("div"):
        Tag("dt", name)
        Tag("dd", value)


def _date(at: float | None) -> str:
    return "never" if at is None else f"{datetime.datetime.fromtimestamp(at, datetime.UTC):%d %b %Y}"
