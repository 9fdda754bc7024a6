"""The card of one job: what the component in the browser is told."""

from collections.abc import Callable
from typing import Any

from nicegui.element import Element
from nicegui.events import GenericEventArguments

from pictura.web.feed import shown
from pictura.web.told import Event, Job

Handler = Callable[[GenericEventArguments], Any]


class Card(Element, component="card.js"):
    """A job of the feed."""

    def __init__(self, job: Job, *, on_act: Handler, on_look: Handler, on_seen: Handler) -> None:
        """Show a job as it is now.

        Args:
            job: what is shown.
            on_act: called with ``{what, job, image, surface}`` when something shall be done.
            on_look: called with ``{image}`` when a picture shall be seen large.
            on_seen: called with ``{job}`` once its pictures were in sight.
        """
        super().__init__()
        self.job = job
        self._cancelling = False
        self._props["previews"] = {}
        self._props["progress"] = None
        self._props["trouble"] = ""
        self._props["job"] = shown.job(job)
        self.on("act", on_act)
        self.on("look", on_look)
        self.on("seen", on_seen)

    def show(self, job: Job) -> None:
        """Show a newer state of the job."""
        self.job = job
        self._cancelling = self._cancelling and job.is_pending
        self._props["job"] = shown.job(job, cancelling=self._cancelling)
        if not job.is_pending:
            self._props["previews"] = {}
            self._props["progress"] = None
        self.update()

    def happen(self, event: Event) -> None:
        """Show what an event tells that needs no newer state: progress and previews."""
        if event.kind == "progress":
            self._props["progress"] = {"done": event.data.get("done", 0), "total": event.data.get("total", 0)}
        elif event.kind == "preview":
            jpegs = event.data.get("jpeg") or {}
            new = {index: f"data:image/jpeg;base64,{jpeg}" for index, jpeg in jpegs.items()}
            self._props["previews"] = {**self._props["previews"], **new}
        else:
            return
        self.update()

    def cancelling(self) -> None:
        """Show that it was asked to stop."""
        self._cancelling = True
        self.show(self.job)

    def like(self, image_id: str, liked: bool) -> None:
        """Show whether one of its pictures is liked."""
        for image in self._props["job"]["images"]:
            if image["id"] == image_id:
                image["liked"] = liked
        self.update()

    def is_liked(self, image_id: str) -> bool:
        """Whether one of its pictures is shown as liked."""
        return any(image["liked"] for image in self._props["job"]["images"] if image["id"] == image_id)

    @property
    def images(self) -> list[dict[str, Any]]:
        """Its pictures, as the lightbox takes them."""
        found: list[dict[str, Any]] = self._props["job"]["images"]
        return found

    def say(self, sentence: str) -> None:
        """Say what went wrong with it; an empty sentence takes that away."""
        if sentence != self._props["trouble"]:
            self._props["trouble"] = sentence
            self.update()
