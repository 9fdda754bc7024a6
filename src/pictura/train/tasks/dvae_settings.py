"""The `[dvae]` table of a recipe."""

from dataclasses import dataclass

from pictura.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class DvaeSettings:
    """How a discrete VAE is trained, see docs/dvae.md. Shares are of the run's steps or minutes."""

    start_temperature: float = 1.0
    """Of the soft codes, at the start."""
    final_temperature: float = 1 / 16
    temperature_share: float = 0.2
    """Share of the run over which the temperature falls, along half a cosine."""
    kl_weight: float = 6.6
    """Of the codes' divergence from the uniform distribution, in the end."""
    kl_share: float = 0.02
    """Share of the run over which it rises from 0, along half a cosine."""
    least_scale: float = 0.0
    """Added to the scale of the likelihood, lest plain parts outweigh the rest; 0 is the paper's."""
    least_used: float = 0.05
    """Stop when less than this share of all codes is in use; 0 = never."""
    alarm_share: float = 0.25
    """Share of the run that must be over before that alarm rings."""
    window_steps: int = 100
    """Steps whose codes are counted together."""

    def __post_init__(self) -> None:
        for name in ("start_temperature", "final_temperature"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"dvae.{name} must be above 0; got {getattr(self, name)}.")
        for name in ("temperature_share", "kl_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"dvae.{name} must be above 0 and at most 1; got {getattr(self, name)}.")
        for name in ("least_used", "alarm_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"dvae.{name} must be in [0, 1]; got {getattr(self, name)}.")
        for name in ("kl_weight", "least_scale"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"dvae.{name} must be at least 0; got {getattr(self, name)}.")
        if self.window_steps < 1:
            raise ConfigError(f"dvae.window_steps must be at least 1; got {self.window_steps}.")
