"""The `[enlarger]` table of a recipe."""

from dataclasses import dataclass, field
from typing import Any

from pictura.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class EnlargerSettings:
    """How an enlarger is trained, see docs/enlarging.md."""

    network: dict[str, Any] = field(default_factory=dict)
    """Settings other than the defaults, see `encode.enlarger.EnlargerConfig`."""
    painted: float = 0.6
    """Share of the small pictures that go through `model.autoencoder`, as painters' pictures do."""
    most_noise: float = 0.3
    """Of the noise on their latents: its strength is drawn from 0 to this."""
    edge_weight: float = 1.0
    """Of the error of the differences between neighbouring pixels, against that of the pixels."""

    def __post_init__(self) -> None:
        if not 0 <= self.painted <= 1:
            raise ConfigError(f"enlarger.painted must be in [0, 1]; got {self.painted}.")
        for name in ("most_noise", "edge_weight"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"enlarger.{name} must be at least 0; got {getattr(self, name)}.")
