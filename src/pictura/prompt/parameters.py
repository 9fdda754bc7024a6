"""Every parameter of the language: its names, what it takes, what stands where it is not given.

What each does to a picture is in `meaning.py`; docs/prompts.md tells it to people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pictura.core.errors import ConfigError
from pictura.prompt.values import Between, Flag, Kind, Name, OneOf, Ratio, Whole

MAX_SEED = 2**32 - 1
MAX_REPEAT = 40
MAX_IW = 3


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter."""

    name: str
    """Behind ``--``; also the field of `Parameters`, unless `field` says another."""
    kind: Kind
    aliases: tuple[str, ...] = ()
    field: str = ""

    @property
    def key(self) -> str:
        """Its field of `Parameters`."""
        return self.field or self.name


PARAMETERS: tuple[Parameter, ...] = (
    Parameter("ar", Ratio(10_000), ("aspect",), "aspect"),
    Parameter("chaos", Whole(0, 100), ("c",)),
    Parameter("iw", Between(0, MAX_IW)),
    Parameter("seed", Whole(0, MAX_SEED)),
    Parameter("stylize", Whole(0, 1000), ("s",)),
    Parameter("weird", Whole(0, 3000), ("w",)),
    Parameter("tile", Flag()),
    Parameter("quality", OneOf((0.25, 0.5, 1.0, 2.0, 4.0)), ("q",)),
    Parameter("stop", Whole(10, 100)),
    Parameter("repeat", Whole(1, MAX_REPEAT), ("r",)),
    Parameter("raw", Flag()),
    Parameter("draft", Flag()),
    Parameter(
        "model", Name("expected the name of a model, as `pictura models` lists them"), ("v", "version")
    ),
)
"""In the order in which they are printed. `--no`, which is a list of words, comes before them."""
NO = "no"
BY_NAME: Mapping[str, Parameter] = MappingProxyType(
    {name: one for one in PARAMETERS for name in (one.name, *one.aliases)}
)
NAMES = (NO, *BY_NAME)
_LATER = "Pictura does not have it yet"
_LANE = "how a job waits is chosen where it is sent, not in its prompt"
ABSENT: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("sref", "sw", "sv", "cref", "cw", "oref", "ow", "dref", "dw", "edit"), _LATER),
        **dict.fromkeys(("p", "profile", "exp", "hd", "niji", "style"), _LATER),
        **dict.fromkeys(("video", "motion", "loop", "end", "bs"), "Pictura paints no videos"),
        **dict.fromkeys(("fast", "relax", "turbo"), _LANE),
        **dict.fromkeys(("stealth", "public"), "who sees a picture is chosen where it is sent or kept"),
        "sameseed": "every picture of a seed has a stream of its own; paint one picture with --seed",
    }
)
"""Parameters of Midjourney that are known and refused, each with the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """The parameters of one prompt; None where nobody gave one."""

    no: tuple[str, ...] = ()
    """What shall not be seen; together it weighs -0.5."""
    aspect: tuple[int, int] | None = None
    """Width to height."""
    chaos: int | None = None
    iw: float | None = None
    """How much a picture that comes with the prompt weighs."""
    seed: int | None = None
    stylize: int | None = None
    weird: int | None = None
    tile: bool = False
    quality: float | None = None
    stop: int | None = None
    repeat: int | None = None
    raw: bool = False
    draft: bool = False
    model: str | None = None

    def __post_init__(self) -> None:
        for one in PARAMETERS:
            value = getattr(self, one.key)
            if value is not None and not one.kind.allows(value):
                raise ConfigError(f"--{one.name}: {one.kind.expected}; got {value!r}.")
        if not all(item and item == item.strip() for item in self.no):
            raise ConfigError(f"--no: expected words without spaces around them; got {list(self.no)}.")
        if self.draft and self.quality is not None:
            raise ConfigError("--draft and --quality both say how much work a picture is worth; give one.")
