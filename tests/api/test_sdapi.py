"""AUTOMATIC1111's API, as its clients use it."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from PIL import Image

from tests.api.api_kit import Served, opened, png


@pytest.fixture
def client(studio: Served) -> Iterator[httpx.Client]:
    with studio.client() as client:
        yield client


def painted(
    client: httpx.Client, way: str = "txt2img", **asked: Any
) -> tuple[list[Image.Image], dict[str, Any]]:
    answer = client.post(f"/sdapi/v1/{way}", json={"width": 64, "height": 64, **asked})
    assert answer.status_code == 200, answer.text
    return [opened(one) for one in answer.json()["images"]], json.loads(answer.json()["info"])


def test_text_becomes_pictures_behind_their_grid(client: httpx.Client) -> None:
    images, info = painted(
        client, prompt="a red fox", negative_prompt="text, blur", seed=7, steps=2, cfg_scale=3, batch_size=2
    )
    assert [image.size for image in images] == [(134, 68), (64, 64), (64, 64)]
    assert (info["seed"], info["all_seeds"], info["steps"], info["cfg_scale"]) == (7, [7, 7], 2, 3)
    assert info["index_of_first_image"] == 1
    assert images[1].info["parameters"] == info["infotexts"][0]
    assert "Steps: 2" in info["infotexts"][0]


def test_the_negative_prompt_steers_away(client: httpx.Client) -> None:
    plain, _ = painted(client, prompt="a red fox", seed=7)
    away, info = painted(client, prompt="a red fox", negative_prompt="a blue ball", seed=7)
    assert plain[0].tobytes() != away[0].tobytes()
    assert info["negative_prompt"] == "a blue ball"


def test_a_picture_is_changed_where_the_mask_is_white(client: httpx.Client) -> None:
    red = png((64, 64), (255, 0, 0, 255))
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (0, 0, 64, 32))
    asked = {
        "prompt": "a fox",
        "init_images": ["data:image/png;base64," + base64.b64encode(red).decode()],
        "mask": base64.b64encode(_png(mask)).decode(),
        "denoising_strength": 1,
        "seed": 1,
    }
    (image,), _ = painted(client, "img2img", **asked)
    assert is_red(image.crop((0, 40, 64, 64)))
    assert not is_red(image.crop((0, 0, 64, 24)))
    (other,), _ = painted(client, "img2img", **{**asked, "inpainting_mask_invert": 1})
    assert is_red(other.crop((0, 0, 64, 24)))


def is_red(picture: Image.Image) -> bool:
    """All over; a network enlarged it."""
    pixels = np.asarray(picture.convert("RGB"))
    return bool(pixels[..., 0].min() >= 254 and not pixels[..., 1:].any())


def test_progress_is_told_and_an_interrupt_answers_with_what_is_there(client: httpx.Client) -> None:
    asked = {"prompt": "a red fox", "steps": 1000, "batch_size": 4, "width": 64, "height": 64}
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(client.post("/sdapi/v1/txt2img", json=asked))

    thread = threading.Thread(target=ask)
    thread.start()
    until = time.monotonic() + 20
    while (told := client.get("/sdapi/v1/progress").json())["progress"] == 0 and time.monotonic() < until:
        time.sleep(0.02)
    assert 0 < told["progress"] < 1
    assert told["state"]["sampling_steps"] == 4000
    client.post("/sdapi/v1/interrupt")
    thread.join(20)
    assert answers[0].status_code == 200
    assert len(answers[0].json()["images"]) < 4
    assert client.get("/sdapi/v1/progress").json()["state"]["job"] == ""


def test_clients_find_models_samplers_and_options(client: httpx.Client) -> None:
    models = client.get("/sdapi/v1/sd-models").json()
    titles = {model["model_name"]: model["title"] for model in models}
    assert [one["name"] for one in client.get("/sdapi/v1/samplers").json()] == ["euler", "ab2", "dpmpp_2m"]
    for address in ("schedulers", "upscalers", "loras"):
        assert client.get(f"/sdapi/v1/{address}").status_code == 200
    client.post("/sdapi/v1/options", json={"sd_model_checkpoint": titles["stackgan"]})
    try:
        assert client.get("/sdapi/v1/options").json()["sd_model_checkpoint"] == titles["stackgan"]
        _, info = painted(
            client, prompt="a red fox", steps=20, cfg_scale=7, sampler_name="Euler", batch_size=1
        )
        assert info["sd_model_name"] == "stackgan"
        assert info["x_left_out"] == ["steps", "cfg_scale", "sampler_name"]
    finally:
        client.post("/sdapi/v1/options", json={"sd_model_checkpoint": "flow"})


def test_a_png_tells_how_it_was_made(client: httpx.Client) -> None:
    answer = client.post("/sdapi/v1/txt2img", json={"prompt": "a red fox", "seed": 3}).json()
    told = client.post("/sdapi/v1/png-info", json={"image": answer["images"][0]}).json()
    assert told["info"].startswith("a red fox\nSteps: 3, Sampler: ab2")
    assert told["parameters"]["seed"] == 3
    bare = client.post("/sdapi/v1/png-info", json={"image": base64.b64encode(png()).decode()}).json()
    assert bare == {"info": "", "items": {}, "parameters": {}}


def test_errors_have_its_shape(client: httpx.Client) -> None:
    answer = client.post("/sdapi/v1/txt2img", json={"prompt": "a fox", "sampler_name": "DDIM"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("No sampler is named 'DDIM'.")
    assert set(answer.json()) == {"error", "detail", "body", "errors"}


def _png(image: Image.Image) -> bytes:
    import io

    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
