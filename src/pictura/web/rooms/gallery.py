"""The gallery: all pictures, found by words and filters; liked, fetched, deleted and brought back."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlencode

from nicegui import ui
from nicegui.events import GenericEventArguments

from pictura.web.frame import parts
from pictura.web.frame.here import Here
from pictura.web.frame.parts import Tag
from pictura.web.told import Image, Page
from pictura.web.widgets.wall import Wall

PAGE = 48
_DAY_S = 86400.0
Which = Literal["mine", "liked", "public", "deleted"]
WHICH: Mapping[str, str] = {"mine": "Yours", "liked": "Liked", "public": "Public", "deleted": "Deleted"}
TIMES: Mapping[str, str] = {"": "Any time", "1": "Last day", "7": "Last week", "30": "Last month"}
KINDS: Mapping[str, str] = {
    "imagine": "Painted",
    "vary": "Varied",
    "remix": "Remixed",
    "region": "Region varied",
    "upscale": "Upscaled",
    "zoom": "Zoomed out",
    "pan": "Panned",
    "square": "Made square",
    "blend": "Blended",
}
_EMPTY: Mapping[str, tuple[str, str]] = {
    "mine": ("No pictures yet", "Write a sentence on the first page, and four pictures will hang here."),
    "liked": ("Nothing liked yet", "The heart on a picture puts it here."),
    "public": ("Nothing is public yet", "On a picture's page you can show it to everybody here."),
    "deleted": ("Nothing was deleted", "Deleted pictures stay here for 30 days and can be restored."),
}
_JS_VALUE = "(event) => emit(event.target.value)"


async def show(here: Here) -> None:
    """Build the page."""
    found = _Gallery(here)
    await found.build()


class _Gallery:
    """One visitor's gallery: what they look for, and how far they have seen."""

    def __init__(self, here: Here) -> None:
        self._here = here
        asked = here.client.request.query_params
        self._asked = {name: asked.get(name, "")[:200] for name in ("q", "model", "kind", "days")}
        self._which = asked.get("which", "mine") if asked.get("which") in WHICH else "mine"
        self._cursor: str | None = None
        self._turn = 0

    async def build(self) -> None:
        models, kinds = await self._facets()
        self._tabs: dict[str, Tag] = {}
        with parts.heading("Gallery"), Tag("div", classes="tabs", role="group", aria_label="Which pictures"):
            for name, label in WHICH.items():
                pressed = "true" if name == self._which else "false"
                self._tabs[name] = parts.button(label, self._turner(name), kind="quiet", aria_pressed=pressed)
        self._filters(models, kinds)
        self._trouble = parts.Trouble()
        self._status = Tag("p", "", "hidden-label", role="status")
        page: Page[Image] = Page(items=())
        with self._here.telling(self._trouble):
            page = await self._find(None)
        self._cursor = page.next_cursor
        self._wall = Wall(
            page.items,
            has_more=page.next_cursor is not None,
            is_mine=self._which != "public",
            on_more=self._more,
            on_act=self._act,
        )
        self._nothing = Tag("div")
        self._tell(page)

    def _filters(self, models: Mapping[str, int], kinds: Mapping[str, int]) -> None:
        with Tag("form", classes="filters", role="search") as form:
            form.on("submit", lambda _: None, js_handler="(event) => event.preventDefault()")
            with Tag("div", classes="search"):
                parts.icon("search")
                words = Tag("input", classes="field", type="search", name_="q", **_begin(self._asked["q"]))
                words.put(placeholder="Search prompts", aria_label="Search prompts", autocomplete="off")
                words.on("input", self._setter("q"), throttle=0.3, leading_events=False, js_handler=_JS_VALUE)
            self._select(
                "model", "Model", {"": "All models"} | {n: f"{n} ({c:,})" for n, c in models.items()}
            )
            known = {name: KINDS.get(name, name.capitalize()) for name in kinds}
            self._select(
                "kind", "Kind", {"": "All kinds"} | {n: f"{known[n]} ({c:,})" for n, c in kinds.items()}
            )
            self._select("days", "Time", TIMES)

    def _select(self, name: str, label: str, choices: Mapping[str, str]) -> None:
        with Tag("select", classes="select", aria_label=label, name_=name) as found:
            for value, said in choices.items():
                selected = True if value == self._asked[name] else None
                Tag("option", said, value=value, selected=selected)
        found.on("change", self._setter(name), js_handler=_JS_VALUE)

    def _setter(self, name: str) -> Callable[[GenericEventArguments], Awaitable[None]]:
        async def change(event: GenericEventArguments) -> None:
            self._asked[name] = str(event.args)[:200]
            await self._again()

        return change

    def _turner(self, name: str) -> Callable[[], Awaitable[None]]:
        async def turn() -> None:
            self._which = name
            for other, tab in self._tabs.items():
                tab.put(aria_pressed="true" if other == name else "false")
            await self._again()

        return turn

    async def _again(self) -> None:
        """Find anew what is looked for; an answer that another search overtook is let go."""
        self._turn += 1
        turn = self._turn
        self._keep_address()
        with self._here.telling(self._trouble):
            page = await self._find(None)
            if turn == self._turn:
                self._cursor = page.next_cursor
                has_more = page.next_cursor is not None
                self._wall.replace(page.items, has_more=has_more, is_mine=self._which != "public")
                self._tell(page)

    async def _more(self) -> None:
        turn = self._turn
        page: Page[Image] = Page(items=(), next_cursor=self._cursor)
        with self._here.telling(self._trouble):
            page = await self._find(self._cursor)
        if turn == self._turn:
            self._cursor = page.next_cursor
            self._wall.add(page.items, has_more=page.next_cursor is not None)

    async def _find(self, cursor: str | None) -> Page[Image]:
        asked: dict[str, Any] = {name: self._asked[name].strip() or None for name in ("q", "model", "kind")}
        if self._asked["days"].isdecimal():
            asked["since"] = round(time.time() - int(self._asked["days"]) * _DAY_S)
        special = {"liked": {"liked": True}, "public": {"public": True}, "deleted": {"deleted": True}}
        return await self._here.api.images(**asked, **special.get(self._which, {}), cursor=cursor, limit=PAGE)

    async def _facets(self) -> tuple[dict[str, int], dict[str, int]]:
        """Models and kinds of one's pictures, and how many there are of each."""
        found: dict[str, Any] = {}
        with self._here.telling():
            found = await self._here.api.facets()
        models, kinds = (
            {one["name"]: one["count"] for one in found.get(of, ())} for of in ("models", "kinds")
        )
        return models, kinds

    def _tell(self, page: Page[Image]) -> None:
        """Say how much was found, and what to do where it is nothing."""
        count, more = len(page.items), page.next_cursor is not None
        self._status.text = f"{'More than ' if more else ''}{count} pictures found."
        self._nothing.clear()
        if page.items:
            return
        with self._nothing:
            if any(self._asked.values()):
                parts.empty("Nothing fits", "Search for fewer words, or take a filter away.")
            else:
                parts.empty(*_EMPTY[self._which])
                if self._which == "mine":
                    with Tag("p", classes="center"):
                        parts.link("Create pictures", "/", icon="spark", kind="main")

    def _keep_address(self) -> None:
        """Write what is looked for into the address, so that it can be gone back to."""
        kept = {name: value for name, value in self._asked.items() if value}
        kept |= {"which": self._which} if self._which != "mine" else {}
        address = "/gallery" + (f"?{urlencode(kept)}" if kept else "")
        ui.run_javascript(f"history.replaceState(history.state, '', {address!r})")

    async def _act(self, act: str, told: Mapping[str, Any]) -> None:
        api, image_id = self._here.api, str(told["id"])
        with self._here.telling(self._trouble):
            if act == "like":
                await api.rate("like" if told["liked"] else "unlike", image_id, "gallery")
                self._wall.change(image_id, liked=bool(told["liked"]))
            elif act == "remove":
                await api.delete(image_id)
                self._wall.change(image_id, deleted=True)
            elif act == "restore":
                await api.restore(image_id)
                self._wall.change(image_id, deleted=False)


def _begin(value: str) -> dict[str, str]:
    """What a field begins with, as an attribute: a property of that name is set again at each update, and
    would take away what is being typed.
    """
    return {"^value": value}
