"""What people do with pictures and jobs, in words of the pages, as the API takes it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pictura.web.client import Api
from pictura.web.told import Job

ACTIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "upscale": ("upscale", {"factor": 2}),
        "upscale-4": ("upscale", {"factor": 4}),
        "vary": ("vary", {"strength": "subtle"}),
        "vary-strong": ("vary", {"strength": "strong"}),
        "zoom": ("zoom", {"factor": 1.5}),
        "zoom-2": ("zoom", {"factor": 2}),
        "pan-left": ("pan", {"direction": "left"}),
        "pan-right": ("pan", {"direction": "right"}),
        "pan-up": ("pan", {"direction": "up"}),
        "pan-down": ("pan", {"direction": "down"}),
        "square": ("square", {}),
    }
)
"""What makes a new job of a picture."""
ASKED: Mapping[str, str] = MappingProxyType(
    {
        "upscale": "Upscaling",
        "vary": "Four variations come",
        "zoom": "Zooming out",
        "pan": "Panning",
        "square": "Making it square",
    }
)


async def act(api: Api, what: str, image_id: str) -> tuple[list[Job], str]:
    """Do something with a picture.

    Returns:
        The jobs that come of it, and what can be said about them.

    Raises:
        ApiError: it was refused.
    """
    action, more = ACTIONS[what]
    return await api.act(image_id, action, **more), f"{ASKED[action]}."
