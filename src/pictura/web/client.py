"""The API as the pages use it: typed, asynchronous, one user's at a time.

One `Api` is made for each visitor. They share connections, but no cookie: what an answer sets is kept
nowhere. Whatever is refused is raised as `wire.ApiError`, with the API's own sentence.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import httpx

from pictura.web import told
from pictura.web.told import Event, Image, Job, Key, Model, Page, Pair, PairStats, PromptTold, Session
from pictura.web.wire import ApiError, Wire, at

_REST_S = 0.5
_MOST_RESTS = 6
_LONG_S = 120.0
"""Of answers that a model has a part in."""


class Api:
    """The API in the name of one visitor."""

    def __init__(self, http: httpx.AsyncClient, token: str | None = None) -> None:
        """Make it; nothing is asked yet.

        Args:
            http: from `wire.connections`.
            token: of the visitor's login; None where nobody logs in.
        """
        self._wire = Wire(http, token)

    # Who one is

    async def log_in(self, name: str, password: str) -> str:
        """Log a visitor in and go on as that one; returns the token that their browser shall keep."""
        return await self._wire.log_in(name, password)

    async def log_out(self) -> None:
        """End the visitor's login."""
        await self._wire.log_out()

    async def session(self) -> Session:
        """Who the visitor is."""
        return told.session(await self._wire.json("GET", "/session"))

    async def consent(self, train_on_ratings: bool, *, past: bool = False) -> Session:
        """Say whether models may learn from the visitor's ratings; `past`: from those until now too."""
        body = {"train_on_ratings": train_on_ratings, "past": past}
        return told.session(await self._wire.json("PATCH", "/session", body))

    # Prompts and jobs

    async def parse(self, prompt: str) -> PromptTold:
        """Read a prompt without painting it."""
        return told.prompt(await self._wire.json("POST", "/prompts/parse", {"prompt": prompt}))

    async def shorten(self, prompt: str) -> dict[str, Any]:
        """How much each word of a prompt weighs (`tokens`), and shorter `prompts`."""
        return await self._wire.json("POST", "/shorten", {"prompt": prompt}, timeout=_LONG_S)

    async def submit(self, prompt: str, **choices: Any) -> list[Job]:
        """Ask for pictures; choices are those of `POST /jobs` (`lane`, `model`, `image_id` …)."""
        return told.jobs(await self._wire.json("POST", "/jobs", {"prompt": prompt, **choices}))

    async def jobs(
        self,
        *,
        status: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        everybody: bool = False,
    ) -> Page[Job]:
        """Jobs, the newest first."""
        query = {"status": status, "cursor": cursor, "limit": limit, "everybody": everybody or None}
        return told.page(await self._wire.json("GET", "/jobs", query=query), told.job)

    async def job(self, job_id: str) -> Job:
        """A job as it is now."""
        return told.job(await self._wire.json("GET", at("jobs", job_id)))

    async def cancel(self, job_id: str) -> Job:
        """Ask a job to stop."""
        return told.job(await self._wire.json("DELETE", at("jobs", job_id)))

    async def retry(self, job_id: str) -> Job:
        """Put a failed job back into the line."""
        return told.job(await self._wire.json("POST", at("jobs", job_id, "retry")))

    async def reroll(self, job_id: str, prompt: str | None = None) -> list[Job]:
        """The same once more with other seeds, and with another prompt if one is given."""
        body = {} if prompt is None else {"prompt": prompt}
        return told.jobs(await self._wire.json("POST", at("jobs", job_id, "reroll"), body))

    async def events(self, job_id: str, after: int = 0) -> AsyncGenerator[Event]:
        """What happens to a job, until it ends; a broken stream goes on behind the last event seen.

        Raises:
            ApiError: there is no such job, or the studio does not answer any more.
        """
        rests = 0
        while True:
            try:
                async with aclosing(self._wire.stream(job_id, after)) as events:
                    async for event in events:
                        after, rests = event.number, 0
                        yield event
                        if event.kind in told.ENDS:
                            return
                if not (await self.job(job_id)).is_pending:
                    return
            except ApiError as error:
                if error.http_status not in (429, 502, 503) or rests >= _MOST_RESTS:
                    raise
            rests += 1
            await asyncio.sleep(_REST_S * min(rests, _MOST_RESTS))

    # Pictures and what is done with them

    async def image(self, image_id: str) -> Image:
        """One picture."""
        return told.image(await self._wire.json("GET", at("images", image_id)))

    async def images(self, **filters: Any) -> Page[Image]:
        """Pictures, the newest first; filters are those of `GET /images` (`q`, `model`, `liked` …)."""
        return told.page(await self._wire.json("GET", "/images", query=filters), told.image)

    async def facets(self) -> dict[str, Any]:
        """By what pictures can be filtered: models with counts."""
        return await self._wire.json("GET", "/images/facets")

    async def delete(self, image_id: str) -> Image:
        """Take a picture out of sight."""
        return told.image(await self._wire.json("DELETE", at("images", image_id)))

    async def restore(self, image_id: str) -> Image:
        """Undo that."""
        return told.image(await self._wire.json("POST", at("images", image_id, "restore")))

    async def show(self, image_id: str, visibility: str) -> Image:
        """Make a picture ``public``, or ``private``."""
        return told.image(await self._wire.json("PATCH", at("images", image_id), {"visibility": visibility}))

    async def file(
        self, image_id: str, part: str, query: Mapping[str, str], etag: str | None = None
    ) -> httpx.Response:
        """The ``file`` of a picture or its ``thumb``, with its headers; 304 if it is known.

        Args:
            image_id: of the picture.
            part: which of the two.
            query: ``format`` and ``background``.
            etag: what the browser says that it has.
        """
        headers = {"If-None-Match": etag} if etag else {}
        return await self._wire.ask("GET", at("images", image_id, part), query=query, headers=headers)

    async def act(self, image_id: str, action: str, **more: Any) -> list[Job]:
        """Do something with a picture: ``vary``, ``upscale``, ``region`` … with what each takes."""
        body = {"action": action, **more}
        return told.jobs(await self._wire.json("POST", at("images", image_id, "actions"), body))

    async def blend(self, image_ids: Sequence[str], **more: Any) -> list[Job]:
        """Make one picture of several."""
        return told.jobs(await self._wire.json("POST", "/blend", {"image_ids": list(image_ids), **more}))

    async def describe(self, image_id: str) -> list[tuple[str, float]]:
        """Captions that fit a picture, the best first, each with its score."""
        found = await self._wire.json("POST", "/describe", {"image_id": image_id}, timeout=_LONG_S)
        return [(str(one["text"]), float(one["score"])) for one in found["captions"]]

    # Ratings

    async def rate(self, kind: str, image_id: str, surface: str, **more: Any) -> None:
        """Tell that a picture was liked, unliked, downloaded … and where."""
        event = {"kind": kind, "image_id": image_id, "surface": surface, **more}
        await self._wire.json("POST", "/ratings", {"events": [event]})

    async def rate_all(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Tell several such things at once, each with its ``kind``, ``image_id`` and ``surface``."""
        await self._wire.json("POST", "/ratings", {"events": list(events)})

    async def ratings(self, cursor: str | None = None, limit: int = 50) -> Page[dict[str, Any]]:
        """What the visitor rated, the newest first."""
        return told.page(
            await self._wire.json("GET", "/ratings", query={"cursor": cursor, "limit": limit}), dict
        )

    async def delete_ratings(self) -> dict[str, Any]:
        """Forget everything that the visitor rated."""
        return await self._wire.json("DELETE", "/ratings")

    async def export_ratings(self, query: Mapping[str, str]) -> httpx.Response:
        """The same as a Parquet file."""
        return await self._wire.ask("GET", "/ratings/export", query=query)

    async def next_pair(self, model: str | None = None) -> Pair | None:
        """Two pictures to choose from; None if there are none."""
        try:
            return told.pair(await self._wire.json("GET", "/pairs/next", query={"model": model}))
        except ApiError as error:
            if error.code == "no_pairs":
                return None
            raise

    async def choose(self, token: str, choice: str, ms: int | None = None) -> None:
        """Choose ``left``, ``right``, ``tie`` or ``skip``, after so many milliseconds."""
        await self._wire.json("POST", "/pairs", {"token": token, "choice": choice, "ms": ms})

    async def pair_stats(self) -> PairStats:
        """What was chosen so far."""
        return told.read(PairStats, await self._wire.json("GET", "/pairs/stats"))

    # Models, keys, settings

    async def models(self) -> list[Model]:
        """All models that can paint."""
        found = await self._wire.json("GET", "/models")
        return [told.read(Model, one) for one in found["items"]]

    async def learning(self) -> dict[str, Any]:
        """What was learnt from ratings, and which version paints."""
        return await self._wire.json("GET", "/learning")

    async def keys(self) -> list[Key]:
        """The visitor's keys, without themselves."""
        return [told.read(Key, one) for one in (await self._wire.json("GET", "/keys"))["items"]]

    async def make_key(self, scopes: Sequence[str]) -> Key:
        """A new key; this is the one time that it is told."""
        return told.read(Key, await self._wire.json("POST", "/keys", {"scopes": list(scopes)}))

    async def revoke_key(self, key_id: str) -> Key:
        """Let a key open nothing any more."""
        return told.read(Key, await self._wire.json("DELETE", at("keys", key_id)))

    async def policy(self) -> dict[str, Any]:
        """What holds for all; administrators see it."""
        return await self._wire.json("GET", "/settings")
