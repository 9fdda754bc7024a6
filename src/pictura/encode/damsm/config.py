"""Shape of the matcher. No torch."""

from dataclasses import dataclass

from pictura.core.errors import ConfigError, did_you_mean

IMAGE_ENCODERS = ("small", "inception")


@dataclass(frozen=True, kw_only=True, slots=True)
class DamsmConfig:
    """Shape of both encoders."""

    vocab_size: int = 2048
    embedding: int = 300
    """Numbers of a token before the LSTM reads it."""
    width: int = 256
    """D: of words, sentence, regions and whole picture; the LSTM has half of it in each direction."""
    dropout: float = 0.5
    """Share of embedding numbers that are left out in training."""
    image_encoder: str = "small"
    """`small`: our own convolutions. `inception`: a frozen Inception-v3 whose weights the user has."""
    size: int = 64
    """Side in pixels at which `small` looks; pictures of other sizes are resized."""
    widths: tuple[int, int, int] = (64, 128, 160)
    """`small`: channels at a quarter, an eighth and a sixteenth of `size`."""
    region_side: int = 8
    """`small`: regions along one side of a picture, a quarter or an eighth of `size`."""

    def __post_init__(self) -> None:
        if self.image_encoder not in IMAGE_ENCODERS:
            raise ConfigError(
                f"DamsmConfig.image_encoder must be 'small' or 'inception'; got {self.image_encoder!r}. "
                f"{did_you_mean(self.image_encoder, IMAGE_ENCODERS)}"
            )
        if self.width % 2 or self.width < 2:
            raise ConfigError(f"DamsmConfig.width must be even, half for each direction; got {self.width}.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"DamsmConfig.dropout must be at least 0 and below 1; got {self.dropout}.")
        if self.size % 16 or self.size < 16:
            raise ConfigError(f"DamsmConfig.size must be a multiple of 16; got {self.size}.")
        allowed = (self.size // 4, self.size // 8)
        if self.region_side not in allowed:
            raise ConfigError(
                f"DamsmConfig.region_side must be {allowed[0]} or {allowed[1]} where size is {self.size}; "
                f"got {self.region_side}."
            )
        if any(width % 8 for width in self.widths):
            raise ConfigError(f"DamsmConfig.widths must be multiples of 8; got {self.widths}.")
