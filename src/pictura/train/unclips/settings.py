"""The `[unclip]` table of a recipe."""

from dataclasses import dataclass

from pictura.core.errors import ConfigError, did_you_mean

DEGRADATIONS = ("blur", "bsr")


@dataclass(frozen=True, kw_only=True, slots=True)
class UnclipSettings:
    """How unCLIP's decoder and upsamplers are trained, see docs/families/unclip.md."""

    embedding_dropout: float = 0.1
    """Share of pictures whose vector the decoder is not told."""
    text_dropout: float = 0.5
    """Share of pictures whose caption the decoder is not told."""
    most_weight: float = 20.0
    """Of the error of x_0, whose weight is 1 / s^2 up to this; 5 sees to shapes more than to fine detail."""
    degradation: str = "blur"
    """What happens to the small pictures that an upsampler learns from: `blur`, or the rougher `bsr`."""

    def __post_init__(self) -> None:
        for name in ("embedding_dropout", "text_dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"unclip.{name} must be in [0, 1]; got {getattr(self, name)}.")
        if not self.most_weight >= 1:
            raise ConfigError(f"unclip.most_weight must be at least 1; got {self.most_weight}.")
        if self.degradation not in DEGRADATIONS:
            raise ConfigError(
                f"unclip.degradation must be {' or '.join(map(repr, DEGRADATIONS))}; "
                f"got {self.degradation!r}. {did_you_mean(self.degradation, DEGRADATIONS)}"
            )
