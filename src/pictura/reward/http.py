"""A service as a reward: pictures and sentences are posted to it, numbers come back.

    POST url   {"images": ["<base64 PNG>", ...], "prompts": ["a red fox", ...]}
    answer     {"scores": [0.7, null, ...]}      null: this picture cannot be scored

What may pass by itself (no connection, no answer in time, a status of 429 or 500 and above) is tried again
after a pause that doubles each time; anything else is an error at once.
"""

import base64
import http.client
import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pictura.core import images as core_images
from pictura.core.errors import ConfigError, RewardError
from pictura.core.types import Prompt
from pictura.reward.types import Scores

_BUSY = 429
_BROKEN = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpSettings:
    """Where the service is, and how patiently it is asked."""

    url: str
    timeout_s: float = 60.0
    """Longest wait for one answer."""
    retries: int = 3
    """Further tries after the first."""
    pause_s: float = 1.0
    """Before the first further try; doubled before each later one."""
    at_once: int = 64
    """Pictures of one request."""
    low: float = -torch.inf
    """Least score that the service gives, if that is known."""
    high: float = torch.inf

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ConfigError(f"http: url must begin with http:// or https://; got {self.url!r}.")
        least = {"timeout_s": 1e-3, "retries": 0, "pause_s": 0, "at_once": 1}
        for name, low in least.items():
            if not getattr(self, name) >= low:
                raise ConfigError(f"http: {name} must be at least {low}; got {getattr(self, name)}.")

    def build(self, device: str) -> "HttpReward":
        """The reward."""
        return HttpReward(self)


class HttpReward:
    """Asks a service."""

    name = "http"
    differentiable = False

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self.value_range = (settings.low, settings.high)

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        """Score B pictures, see `Reward`.

        Raises:
            RewardError: the service gave no numbers, after all tries.
        """
        pictures = core_images.to_pil(images.detach().float().cpu().numpy())
        scores: list[float] = []
        for start in range(0, len(pictures), self._settings.at_once):
            part = slice(start, start + self._settings.at_once)
            encoded = [_png(picture) for picture in pictures[part]]
            body = {"images": encoded, "prompts": [prompt.text for prompt in prompts[part]]}
            scores += self._numbers(self._ask(json.dumps(body).encode()), len(encoded))
        total = torch.tensor(scores, dtype=torch.float32, device=images.device)
        return Scores(total=total, valid=total.isfinite())

    def _numbers(self, answer: bytes, count: int) -> list[float]:
        try:
            scores = json.loads(answer)["scores"]
            numbers = [float("nan") if score is None else float(score) for score in scores]
        except (ValueError, TypeError, KeyError) as error:
            raise RewardError(
                f'The reward at {self._settings.url} must answer {{"scores": [numbers]}}; it answered '
                f"{answer[:80]!r}."
            ) from error
        if len(numbers) != count:
            raise RewardError(
                f"The reward at {self._settings.url} must give one number for each of {count} pictures; "
                f"it gave {len(numbers)}."
            )
        return numbers

    def _ask(self, body: bytes) -> bytes:
        settings, pause_s = self._settings, self._settings.pause_s
        for left in range(settings.retries, -1, -1):
            try:
                return self._post(body)
            except (OSError, http.client.HTTPException) as error:
                lasting = False
                if isinstance(error, urllib.error.HTTPError):
                    error.close()  # it holds the connection
                    lasting = not (error.code == _BUSY or error.code >= _BROKEN)
                if lasting or not left:
                    raise RewardError(
                        f"The reward at {settings.url} gave no answer ({error}) in "
                        f"{settings.retries - left + 1} tries. Start it, or allow it more with timeout_s."
                    ) from error
            time.sleep(pause_s)
            pause_s *= 2
        raise AssertionError("the last try returns or raises")

    def _post(self, body: bytes) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - http and https alone, see HttpSettings
            self._settings.url, data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=self._settings.timeout_s) as answer:  # noqa: S310
            content: bytes = answer.read()
        return content


def _png(picture: Any) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")
