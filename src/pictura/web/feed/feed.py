"""The feed: cards of jobs, kept as the API tells them, and what is done with their pictures."""

import asyncio
import logging
from typing import Any

from nicegui import background_tasks
from nicegui.events import GenericEventArguments

from pictura.web.feed import acting, shown
from pictura.web.feed.card import Card
from pictura.web.feed.follow import Follower
from pictura.web.feed.lightbox import Lightbox
from pictura.web.feed.prompt import PromptBar
from pictura.web.frame import parts
from pictura.web.frame.here import NOBODY, Here
from pictura.web.frame.parts import Tag, Trouble
from pictura.web.frame.sentinel import Sentinel
from pictura.web.told import Event, Job
from pictura.web.wire import ApiError

log = logging.getLogger("pictura.web")
PIECE = 12
"""Jobs that are brought at a time."""
LOOK_S = 3.0
"""Between looks for jobs that came from elsewhere."""


class Feed:
    """The jobs of one visitor, on one page."""

    def __init__(self, here: Here) -> None:
        """Plan it; `build` draws it.

        Args:
            here: the visit.
        """
        self._here = here
        self._cards: dict[str, Card] = {}
        self._cursor: str | None = None
        self._unsent: list[dict[str, Any]] = []
        self._looking: asyncio.Task[None] | None = None
        self._follower = Follower(here.api, self._happen, self._show)
        here.client.on_connect(self._resume)
        here.client.on_disconnect(self._pause)
        here.client.on_delete(self._close)

    async def build(self, bar: PromptBar) -> None:
        """Draw the first piece, and begin to look for what is new.

        Args:
            bar: into which prompts are written anew.
        """
        self._bar = bar
        self._studio = Trouble()
        self._list = Tag("div", classes="feed", role="feed", aria_label="Your pictures")
        self._empty = parts.empty("Nothing painted yet", "Write a sentence above; four pictures come of it.")
        self._empty.put(hidden=True)
        trouble = Trouble()
        self._lightbox = Lightbox(self._act)
        if await self._more():
            Sentinel(self._here, self._more, trouble)
        self._tidy()
        self._looking = background_tasks.create(self._look(), name="look for jobs")

    async def paint(self, prompt: str) -> None:
        """Ask for pictures and put their jobs on top.

        Raises:
            ApiError: they were refused.
        """
        self._add(await self._here.api.submit(prompt))

    async def _more(self) -> bool:
        page = await self._here.api.jobs(limit=PIECE, cursor=self._cursor)
        self._cursor = page.next_cursor
        for job in page.items:
            self._draw(job, on_top=False)
        return self._cursor is not None

    def _add(self, jobs: list[Job]) -> None:
        """Put new jobs on top, the newest first."""
        for job in sorted(jobs, key=lambda job: job.id):
            self._draw(job, on_top=True)
        self._tidy()

    def _draw(self, job: Job, *, on_top: bool) -> None:
        if job.kind in shown.WORDLESS or job.id in self._cards:
            return
        with self._list:
            card = Card(job, on_act=self._acted, on_look=self._looked, on_seen=self._seen)
        if on_top:
            card.move(self._list, target_index=0)
        self._cards[job.id] = card
        if job.is_pending:
            self._follower.watch(job.id)

    def _tidy(self) -> None:
        self._empty.put(hidden=True if self._cards else None)

    # What comes from the API

    def _happen(self, job_id: str, event: Event) -> None:
        self._cards[job_id].happen(event)

    def _show(self, job: Job) -> None:
        card = self._cards[job.id]
        was_pending = card.job.is_pending
        card.show(job)
        if was_pending and job.status == "done":
            self._lightbox.add(self._pictures())
            self._here.announce(f"Painted: {job.resolved}")

    async def _look(self) -> None:
        """Show jobs that come from elsewhere; say so while the studio does not answer."""
        while True:
            await asyncio.sleep(LOOK_S)
            if not self._here.client.has_socket_connection:
                continue
            try:
                page = await self._here.api.jobs(limit=PIECE)
            except ApiError as error:
                if error.code == NOBODY:
                    self._here.client.open("/login")
                    return
                self._studio.say(error.sentence)
                continue
            self._studio.clear_up()
            await self._send_seen()
            newest = max(self._cards, default="")
            self._add([job for job in page.items if job.id > newest])

    async def _send_seen(self) -> None:
        """Tell what was shown; it is what choices are weighed against."""
        events, self._unsent = self._unsent, []
        if events:
            try:
                await self._here.api.rate_all(events)
            except ApiError as error:  # nobody waits for it
                log.warning("what was seen is not told: %s", error)

    def _resume(self) -> None:
        for card in self._cards.values():
            if card.job.is_pending:
                self._follower.watch(card.job.id)

    def _pause(self) -> None:
        """Hold no streams for a page that nobody sees; a user may have so many at once."""
        if not self._here.client.has_socket_connection:
            self._follower.close()

    def _close(self) -> None:
        self._follower.close()
        if self._looking is not None:
            self._looking.cancel()

    # What comes from the browser

    def _seen(self, event: GenericEventArguments) -> None:
        images = self._cards[event.args["job"]].images
        ids = [image["id"] for image in images]
        self._unsent += [
            {"kind": "view", "image_id": one, "slot": slot, "shown_ids": ids, "surface": "feed"}
            for slot, one in enumerate(ids)
        ]

    def _looked(self, event: GenericEventArguments) -> None:
        self._lightbox.open(self._pictures(), str(event.args["image"]))

    def _pictures(self) -> list[dict[str, Any]]:
        """All pictures of the feed, in its order."""
        newest_first = sorted(self._cards, reverse=True)
        return [image for job_id in newest_first for image in self._cards[job_id].images]

    async def _acted(self, event: GenericEventArguments) -> None:
        asked = event.args
        card = self._cards[asked["job"]]
        card.say("")
        try:
            await self._do(card, asked["what"], asked["image"], asked["surface"])
        except ApiError as error:
            self._tell(error, card.say)

    async def _act(self, what: str, image: dict[str, Any]) -> None:
        """What was asked for in the lightbox."""
        card = self._cards[image["job"]]
        self._lightbox.say("")
        try:
            await self._do(card, what, image["id"], "lightbox")
        except ApiError as error:
            self._tell(error, self._lightbox.say)

    def _tell(self, error: ApiError, say: Any) -> None:
        if error.code == NOBODY:
            self._here.client.open("/login")
        else:
            say(error.sentence)

    async def _do(self, card: Card, what: str, image_id: str | None, surface: str) -> None:
        api, job = self._here.api, card.job
        if what == "cancel":
            card.cancelling()
            card.show(await api.cancel(job.id))
        elif what == "retry":
            card.show(await api.retry(job.id))
            self._follower.watch(job.id)
        elif what == "reroll":
            self._add(await api.reroll(job.id))
            self._here.toast("Once more, with new seeds.")
        elif what == "use":
            self._lightbox.close()
            self._bar.write(job.resolved or job.prompt)
        elif image_id is not None:
            await self._do_with(card, what, image_id, surface)

    async def _do_with(self, card: Card, what: str, image_id: str, surface: str) -> None:
        """Do something with one picture of a job."""
        if what in acting.ACTIONS:
            jobs, sentence = await acting.act(self._here.api, what, image_id)
            self._add(jobs)
            self._here.toast(sentence)
        elif what == "like":
            await self._like(card, image_id, surface)
        elif what == "region":
            self._here.client.open(f"/picture/{image_id}?do=region")
        elif what == "view":
            self._unsent.append({"kind": "view", "image_id": image_id, "surface": surface})

    async def _like(self, card: Card, image_id: str, surface: str) -> None:
        """Turn a like; it is shown at once, and taken back if the API refuses it."""
        liked = not card.is_liked(image_id)
        ids = [image["id"] for image in card.images]
        self._show_like(card, image_id, liked)
        try:
            await self._here.api.rate(
                "like" if liked else "unlike", image_id, surface, slot=ids.index(image_id), shown_ids=ids
            )
        except ApiError:
            self._show_like(card, image_id, not liked)
            raise

    def _show_like(self, card: Card, image_id: str, liked: bool) -> None:
        card.like(image_id, liked)
        self._lightbox.like(image_id, liked)
