"""The first page: the prompt bar, and under it the feed of jobs, the newest first."""

from pictura.web.feed.feed import Feed
from pictura.web.feed.prompt import PromptBar
from pictura.web.frame.here import Here
from pictura.web.frame.parts import Tag


async def show(here: Here) -> None:
    """Build the page."""
    Tag("h1", "Create", "hidden-label")
    models = []
    with here.telling():
        models = await here.api.models()
    feed = Feed(here)
    bar = PromptBar(here, models, feed.paint, here.client.request.query_params.get("prompt", ""))
    await feed.build(bar)
