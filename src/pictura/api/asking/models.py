"""The models that clients may name. Only names: a path would let them read around on this machine."""

import threading
import time
from collections.abc import Mapping

from pictura.core.errors import ModelNotFoundError, did_you_mean
from pictura.store.models import ALIASES, ModelInfo, default_name, find_models

FRESH_S = 2.0
_PAINT = ("autoencoder", "gan", "dvae", "decoder")
"""Networks of a model folder that make pixels."""


class Models:
    """Painters by name, as the folders have them, a few seconds old at most."""

    def __init__(self, more_names: Mapping[str, str]) -> None:
        """Know further names.

        Args:
            more_names: such as OpenAI's, and which of ours answers to each.
        """
        self._more = more_names
        self._lock = threading.Lock()
        self._read_at = -float("inf")
        self._found: dict[str, ModelInfo] = {}

    def painters(self) -> list[ModelInfo]:
        """All that can paint, by name."""
        with self._lock:
            if time.monotonic() - self._read_at > FRESH_S:
                found = find_models(on_broken=lambda _: None)
                self._found = {model.path.name: model for model in found if model.kind == "painter"}
                self._read_at = time.monotonic()
            return list(self._found.values())

    def find(self, name: str, *, foreign: bool = False) -> ModelInfo:
        """The model of a name.

        Args:
            name: of a model, or ``default``.
            foreign: whether the further names count.

        Raises:
            ModelNotFoundError: there is none.
        """
        self.painters()
        meant = self._more.get(name, name) if foreign else name
        model = self._found.get(meant) or (self._default() if meant == "default" else None)
        if model is None:
            raise ModelNotFoundError(
                f"No model is named {name[:80]!r}. {did_you_mean(name[:80], [*self._found, *ALIASES])}"
            )
        return model

    def _default(self) -> ModelInfo | None:
        """What `default` stands for at this moment, however lately it was promoted."""
        name = default_name()
        if name not in self._found:
            with self._lock:
                self._read_at = -float("inf")
            self.painters()
        return self._found.get(name)


def has_alpha(model: ModelInfo) -> bool:
    """Whether a model paints transparent pictures."""
    networks = (model.manifest.get(name) or {} for name in _PAINT)
    return any(network.get("image_channels") == 4 for network in networks)
