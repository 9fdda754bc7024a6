"""What the prompt language asks for is painted in a running batch as it is alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pictura
from pictura.engine.engine import Engine, Request
from pictura.engine.models import WarmModels
from pictura.prompt import choices, parse
from pictura.store.models import read_model


def test_a_bent_request_beside_plain_ones_is_painted_as_alone(
    tiny_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tiny_home))
    model = read_model(tiny_home / "models" / "tiny")
    (prompt,) = parse(
        "a fox::2 a ball --no red --chaos 50 --weird 200 --tile --stop 60 --q 2 --ar 3:2 --seed 5"
    )
    bent: Any = {"num_images": 3, **choices(prompt, model)}
    asked = {"bent": (prompt.words, bent), "plain": ("a fish", {"seed": 1, "num_images": 2, "num_steps": 5})}

    engine = Engine(WarmModels(num_cores=2, num_calls=3))
    for name, (words, more) in asked.items():
        engine.add(Request(id=name, prompt=words, model="tiny", choices=more))
    made: dict[str, dict[int, Any]] = {name: {} for name in asked}
    while not engine.idle:
        for event in engine.round():
            if event.kind == "picture":
                made[event.id][event.index] = event.picture

    painter = pictura.load(model.path, device="cpu", num_threads=1)
    for name, (words, more) in asked.items():
        for i, picture in enumerate(painter.paint(words, **more)):
            np.testing.assert_array_equal(np.asarray(made[name][i].image), np.asarray(picture.image))
            assert made[name][i].metadata() == picture.metadata()
