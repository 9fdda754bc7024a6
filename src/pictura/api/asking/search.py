"""What a client searches for in the gallery."""

from dataclasses import replace
from typing import Annotated

from fastapi import Query

from pictura.api.access.accounts import Who
from pictura.store.search import Wanted

LONGEST = 1000
"""Letters of a search."""
_MAX_AT = 1e12
_Id = Annotated[str | None, Query(max_length=64)]
_At = Annotated[float | None, Query(ge=0, le=_MAX_AT, allow_inf_nan=False, description="Seconds since 1970.")]


class Search:
    """The parameters of a search; FastAPI reads them from the address."""

    def __init__(
        self,
        q: Annotated[
            str | None,
            Query(
                max_length=LONGEST,
                description="Words of the prompt, all of them, by their beginning; in quotes, as a phrase.",
            ),
        ] = None,
        model: Annotated[str | None, Query(max_length=255)] = None,
        kind: Annotated[str | None, Query(max_length=32, description="imagine, or an action.")] = None,
        liked: Annotated[bool, Query(description="Those that one likes or starred.")] = False,
        seed: Annotated[int | None, Query(ge=0, le=2**32 - 1)] = None,
        since: _At = None,
        until: _At = None,
        min_width: Annotated[int | None, Query(ge=1, le=10**6)] = None,
        parent: Annotated[_Id, Query(description="What was made of this picture, or job.")] = None,
        deleted: Annotated[bool, Query(description="Those that can be restored.")] = False,
        public: Annotated[bool, Query(description="All that anybody made public.")] = False,
    ) -> None:
        self._liked = liked
        self._wanted = Wanted(
            words=q,
            model=model,
            kind=kind,
            seed=seed,
            since=since,
            until=until,
            min_width=min_width,
            parent=parent,
            deleted=deleted,
            public=public,
        )

    def wanted(self, who: Who) -> Wanted:
        """What somebody searches for."""
        return replace(self._wanted, liked_by=who.user_id if self._liked else None)
