"""What routes of actions take and give, as JSON."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pictura.actions.strengths import Strength
from pictura.api.schemas.native import MAX_SEED, Taken
from pictura.prompt.grammar import MAX_TEXT
from pictura.sample.canvas import MOST_ZOOM, Direction
from pictura.sample.request import MAX_IMAGES
from pictura.store.tables import Lane, Surface

Prompt = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
MAX_BASE64 = 8 * 2**20
PNG = Annotated[str, Field(min_length=1, max_length=MAX_BASE64)]
ImageId = Annotated[str, Field(min_length=1, max_length=64)]
MOST_BLENDED = 5


class _Asked(Taken):
    """What all actions take."""

    lane: Lane = "fast"
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="Drawn if not given.")
    surface: Surface = Field("api", description="Where it was clicked; kept with the rating that it is.")


class _Painted(_Asked):
    """What actions take that paint."""

    num_images: int = Field(4, ge=1, le=MAX_IMAGES)


class _Reprompted(_Painted):
    """What actions take that may be told another prompt."""

    prompt: Prompt | None = Field(None, description="In the prompt language; that of the picture if null.")


class VaryAsked(_Painted):
    """The same picture, a little or rather different."""

    action: Literal["vary"]
    strength: Strength


class RemixAsked(_Painted):
    """The picture, painted on by another prompt."""

    action: Literal["remix"]
    strength: Strength = "strong"
    prompt: Prompt


class UpscaleAsked(_Asked):
    """The picture, larger."""

    action: Literal["upscale"]
    factor: Literal[2, 4] = 2


class RegionAsked(_Reprompted):
    """A part of the picture, painted anew."""

    action: Literal["region"]
    mask: PNG = Field(description="A PNG in base64, as large as the picture: white where it shall be new.")


class ZoomAsked(_Reprompted):
    """The picture from further away, as large as it was."""

    action: Literal["zoom"]
    factor: float = Field(2.0, gt=1, le=MOST_ZOOM)


class PanAsked(_Reprompted):
    """The picture, half as large again towards one side."""

    action: Literal["pan"]
    direction: Direction


class SquareAsked(_Reprompted):
    """The picture, as wide as tall."""

    action: Literal["square"]


ActionAsked = Annotated[
    VaryAsked | RemixAsked | UpscaleAsked | RegionAsked | ZoomAsked | PanAsked | SquareAsked,
    Field(discriminator="action"),
]


class RerollAsked(Taken):
    """The same request once more, with another seed."""

    prompt: Prompt | None = Field(None, description="In the place of the one that was asked for.")
    lane: Lane = "fast"
    surface: Surface = "api"


class BlendAsked(_Painted):
    """One picture of several."""

    image_ids: list[ImageId] = Field(min_length=2, max_length=MOST_BLENDED)
    prompt: Prompt | None = Field(None, description="One voice more beside the pictures.")
    model: str | None = Field(None, max_length=100, description="The one that blends best here if null.")


class DescribeAsked(Taken):
    """A picture of the studio, or one that is sent."""

    image_id: ImageId | None = None
    image: PNG | None = Field(None, description="PNG, JPEG or WebP in base64.")

    @model_validator(mode="after")
    def _is_one(self) -> "DescribeAsked":
        if (self.image_id is None) == (self.image is None):
            raise ValueError("give image_id or image, one of them")
        return self


class CaptionTold(Taken):
    """A caption and how near it is to the picture."""

    text: str
    score: float = Field(description="Cosine of a CLIP's vectors, -1 to 1.")


class Described(Taken):
    """The nearest captions, the nearest first."""

    captions: list[CaptionTold]


class ShortenAsked(Taken):
    """A prompt in the prompt language."""

    prompt: Prompt


class WordTold(Taken):
    """A word of the prompt."""

    word: str
    weight: float = Field(description="1 matters most, 0 not at all.")


class Shortened(Taken):
    """What matters, and shorter prompts, the longest first."""

    tokens: list[WordTold]
    prompts: list[str]
