"""What OpenAI's Images API takes and gives, as far as Pictura speaks it (openai-python of August 2026)."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pictura.api.telling.pictures import Background, Format
from pictura.prompt.grammar import MAX_TEXT

Quality = Literal["auto", "standard", "hd", "low", "medium", "high"]
ResponseFormat = Literal["b64_json", "url"]
MAX_PARTIAL = 3


class Asked(BaseModel):
    """Fields that all three ways of asking have. Fields of OpenAI's that mean nothing here are let be."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    model: str | None = Field(None, max_length=100)
    n: int | None = Field(None, ge=1, le=10, description="Pictures; 1 unless given.")
    size: str | None = Field(
        None, max_length=20, description="WIDTHxHEIGHT or auto.", examples=["512x512", "auto"]
    )
    response_format: ResponseFormat | None = Field(
        None, description="url for the models dall-e-2 and dall-e-3 unless given, else b64_json."
    )
    seed: int | None = Field(None, ge=0, le=2**32 - 1, description="Not in OpenAI's API: extra_body.")


class EditAsked(Asked):
    """What may go with a picture and a prompt."""

    prompt: str = Field(min_length=1, max_length=MAX_TEXT)
    quality: Quality | None = None
    background: Background | None = None
    output_format: Format | None = None
    output_compression: int | None = Field(None, ge=0, le=100)
    stream: bool | None = None
    partial_images: int | None = Field(None, ge=0, le=MAX_PARTIAL)
    user: str | None = Field(None, max_length=256)


class GenerationAsked(EditAsked):
    """A prompt, in the prompt language."""

    style: Literal["vivid", "natural"] | None = Field(None, description="natural is --raw.")
    moderation: Literal["auto", "low"] | None = Field(None, description="The administrator's policy holds.")


class VariationAsked(Asked):
    """What may go with a picture alone."""

    prompt: str | None = Field(None, max_length=MAX_TEXT, description="Not in OpenAI's API: extra_body.")
    user: str | None = Field(None, max_length=256)


class Picture(BaseModel):
    """One picture."""

    b64_json: str | None = None
    url: str | None = None


class Details(BaseModel):
    """Nothing is counted in tokens here."""

    image_tokens: int = 0
    text_tokens: int = 0


class Usage(BaseModel):
    """The same."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    input_tokens_details: Details = Details()


class Pictures(BaseModel):
    """The answer."""

    created: int
    data: list[Picture]
    background: str
    output_format: str
    quality: str
    size: str
    usage: Usage = Usage()
    x_job_id: str = Field(description="Of the native API.")
    x_seed: int


class OpenAIModel(BaseModel):
    """A model, or another name of one."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class OpenAIModels(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[OpenAIModel]


class OpenAIError(BaseModel):
    """What went wrong."""

    error: dict[str, Any]
