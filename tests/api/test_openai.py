"""OpenAI's Images API, driven by OpenAI's own package."""

import base64
import io
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import numpy as np
import openai
import pytest
from PIL import Image

from tests.api.api_kit import Served, opened, png


@pytest.fixture
def client(studio: Served) -> Iterator[Any]:  # what came is checked here, not by OpenAI's types
    with openai.OpenAI(base_url=f"{studio.url}/v1", api_key="anything", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("size", ["256x256", "512x512", "1024x1024"])
def test_pictures_are_generated_at_openais_sizes(client: Any, size: str) -> None:
    found = client.images.generate(model="gpt-image-1", prompt="a red fox", n=2, size=size)
    assert [opened(one.b64_json).size for one in found.data] == [tuple(map(int, size.split("x")))] * 2
    assert (found.size, found.output_format, found.usage.total_tokens) == (size, "png", 0)
    assert found.model_extra["x_job_id"]


def test_the_prompt_language_counts_where_the_size_is_open(client: Any) -> None:
    found = client.images.generate(model="tiny", prompt="a red fox --ar 2:1 --seed 5", size="auto")
    assert found.data
    assert opened(found.data[0].b64_json or "").size == (362, 181)
    assert (found.model_extra or {})["x_seed"] == 5


def test_old_models_answer_by_an_address_that_opens_the_picture(client: Any) -> None:
    found = client.images.generate(model="dall-e-2", prompt="a red fox")
    assert found.data
    assert found.data[0].url
    answer = httpx.get(found.data[0].url)
    assert answer.headers["content-type"] == "image/png"
    assert opened(answer.content).size == (256, 256)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_pictures_come_in_the_asked_format(client: Any, kind: str) -> None:
    found = client.images.generate(
        model="tiny",
        prompt="a red fox",
        output_format=kind,
        background="opaque",
    )
    image = opened(found.data[0].b64_json)
    assert (image.format, image.mode) == (kind.upper(), "RGB")


def test_a_stream_brings_partial_pictures_and_then_the_whole_one(client: Any) -> None:
    stream = client.images.generate(
        model="tiny",
        prompt="a red fox",
        stream=True,
        partial_images=2,
        output_format="webp",
        size="128x128",
    )
    found = list(stream)
    kinds = [one.type for one in found]
    assert kinds[-1] == "image_generation.completed"
    assert set(kinds[:-1]) <= {"image_generation.partial_image"}
    partial = [one.partial_image_index for one in found[:-1]]
    assert partial == list(range(len(partial)))
    assert {opened(one.b64_json).format for one in found} == {"WEBP"}
    assert opened(found[-1].b64_json).size == (128, 128)


def test_an_edit_keeps_what_the_mask_does_not_open(client: Any) -> None:
    mask = Image.new("RGBA", (64, 64), "white")
    mask.paste((0, 0, 0, 0), (0, 0, 64, 32))  # the upper half is transparent: new
    file = io.BytesIO()
    mask.save(file, "PNG")
    red = png((64, 64), (255, 0, 0, 255))
    whole = client.images.edit(image=("a.png", red), prompt="a fox", size="64x64", extra_body={"seed": 1})
    parts = client.images.edit(
        image=[("a.png", red)],
        mask=("m.png", file.getvalue()),
        prompt="a fox",
        size="64x64",
        extra_body={"seed": 1},
    )
    lower = (0, 40, 64, 64)
    assert is_red(parts.data[0].b64_json, lower)
    assert not is_red(parts.data[0].b64_json, (0, 0, 64, 24))
    assert not is_red(whole.data[0].b64_json, lower)


def is_red(picture: str, box: tuple[int, int, int, int]) -> bool:
    """All over the box; a network enlarged it."""
    pixels = np.asarray(opened(picture).convert("RGB").crop(box))
    return bool(pixels[..., 0].min() >= 254 and not pixels[..., 1:].any())


def test_a_variation_is_painted_by_the_prompt_that_the_picture_carries(client: Any, studio: Served) -> None:
    first = client.images.generate(model="tiny", prompt="a blue ball", size="64x64")
    picture = base64.b64decode(first.data[0].b64_json)
    with pytest.deprecated_call():  # says OpenAI's package of its own method
        found = client.images.create_variation(image=("a.png", picture), n=2, response_format="b64_json")
    assert found.data
    assert len({one.b64_json for one in found.data}) == 2
    with studio.client() as native:
        job = native.get(f"/api/v1/jobs/{(found.model_extra or {})['x_job_id']}").json()
    assert (job["prompt"], job["choices"]["noise_level"]) == ("a blue ball", 0.6)


def test_models_are_listed_with_openais_names(client: Any) -> None:
    names = [model.id for model in client.models.list()]
    assert {"flow", "tiny", "dall-e-3", "gpt-image-1"} <= set(names)
    assert client.models.retrieve("gpt-image-1").owned_by == "pictura"


def test_errors_have_openais_shape_and_class(client: Any) -> None:
    with pytest.raises(openai.NotFoundError, match=r"No model is named 'flwo'. Did you mean 'flow'") as found:
        client.images.generate(model="flwo", prompt="a fox")
    assert (found.value.code, found.value.type) == ("model_not_found", "not_found_error")
    with pytest.raises(openai.BadRequestError, match=r"`--ar 3x2` \(column 7\): expected whole numbers"):
        client.images.generate(model="tiny", prompt="a fox --ar 3x2")
    with pytest.raises(openai.BadRequestError, match=r"from 16 to 1024 pixels; got 4096x4096"):
        client.images.generate(model="tiny", prompt="a fox", size="4096x4096")
    with pytest.raises(openai.BadRequestError, match="JPEG cannot be transparent"):
        client.images.generate(model="tiny", prompt="a", output_format="jpeg", background="transparent")
    with pytest.raises(openai.BadRequestError, match="asks for 2 jobs; at most 1") as many:
        client.images.generate(model="tiny", prompt="a {red, blue} fox")
    assert many.value.param is None
    with pytest.raises(openai.BadRequestError) as invalid:
        client.images.generate(model="tiny", prompt="a fox", n=11)
    assert (invalid.value.code, invalid.value.param) == ("invalid_request", "n")
    with pytest.raises(openai.BadRequestError, match="image: expected a PNG, JPEG or WebP image"):
        client.images.edit(image=("a.png", b"GIF89a"), prompt="a fox")
