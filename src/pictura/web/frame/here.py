"""What a page knows: who looks at it, the API in their name, and where it says what went wrong."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

from nicegui import Client

from pictura.web.client import Api
from pictura.web.frame.parts import Trouble
from pictura.web.told import Session
from pictura.web.wire import ApiError

NOBODY = "unauthenticated"
"""The API's code for one who is not logged in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Here:
    """One visit of one page."""

    api: Api
    session: Session
    client: Client
    trouble: Trouble
    """The page's own line for what went wrong and has no better place."""

    @contextmanager
    def telling(self, place: Trouble | None = None) -> Iterator[None]:
        """Say in a sentence what the API refused, where it happened, instead of raising it.

        Args:
            place: where; the page's own line unless given.
        """
        spot = self.trouble if place is None else place
        spot.clear_up()
        try:
            yield
        except ApiError as error:
            if error.code == NOBODY:
                self.client.open(login_address(self.client.request.url.path))
                return
            spot.say(error.sentence)

    def toast(self, sentence: str) -> None:
        """Tell of something that went well, for a moment."""
        self.client.run_javascript(f"pictura.toast({_quoted(sentence)})")

    def announce(self, sentence: str) -> None:
        """Tell those who hear the page, not those who see it."""
        self.client.run_javascript(f"pictura.announce({_quoted(sentence)})")


def login_address(path: str) -> str:
    """Where one logs in to go on to a page."""
    return f"/login?next={quote(path, safe='/')}" if path not in ("", "/") else "/login"


def _quoted(text: str) -> str:
    """A text as a literal of JavaScript."""
    return json.dumps(text).replace("<", "\\u003c")
