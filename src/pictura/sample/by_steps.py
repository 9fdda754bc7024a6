"""Painting along a velocity, from noise to latent to pixels. The whole way is here, in order.

Letters B pictures, C latent channels, h w latent size, H W picture size, T text tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pictura.core.errors import ModelError
from pictura.core.types import Backend
from pictura.sample.calls import Asked, Call, Calls, Painted, Progress, Way
from pictura.sample.chaos import Chaos
from pictura.sample.conditions import Conditions, common_words, usual
from pictura.sample.from_picture import begin, pixels, put_back, times_from
from pictura.sample.guidance import Guidance
from pictura.sample.mixing import USUAL, WITHOUT, Mix
from pictura.sample.ode import Steps, check_solver
from pictura.sample.randomness import noise
from pictura.sample.schedules import last_step, time_grid
from pictura.sample.sizes import nearest_grid
from pictura.sample.tiling import Rolls, around, inside
from pictura.store.models import ModelInfo
from pictura.store.student import student_of

Read = Callable[[str], NDArray[np.int64]]


def by_steps(model: ModelInfo, backend: Backend, read: Read, asked: Asked) -> Way[Painted]:
    """From words to pixels (B, C, H, W).

    Args:
        model: that paints.
        backend: its networks, which are not called here.
        read: words to token ids (T,).
        asked: what to paint.
    """
    settings, given, num = asked.settings, asked.given, len(asked.numbers)
    check_solver(settings["solver"])
    times: Sequence[float] = time_grid(settings["num_steps"], shift=settings["shift"])

    # 1. and 2. Read the prompt in its parts, and nothing, which guidance steers away from.
    mix = mix_of(asked)
    conditions = yield from understand(model, backend, read, asked)

    # 3. Noise, of the shape nearest to the wanted one among those that the network was trained for.
    width, height = settings["size"]
    h, w = grid = nearest_grid(model.grids, width, height, model.factor)
    noise_BChw = np.stack([noise(asked.seed, i, (backend.latent_channels, h, w)) for i in asked.numbers])
    x_T, start = backend.asarray(noise_BChw), None
    if given:
        original = pixels(given, (w * model.factor, h * model.factor), image_channels(model, backend))
        start = begin(given, (yield Call("encode", (backend.asarray(original),))), x_T)
        times = times_from(times, given.noise_level)
        x_T = start.at(times[0])

    # 4. From noise to image, or to what is seen of it where the way shall stop.
    steps = Steps(x_T, times, settings["solver"])
    last = last_step(steps.num, settings.get("stop"))
    rolls = Rolls(asked.seed, asked.numbers, grid, last) if settings.get("tile") else None
    while steps.done < last:
        x_t = rolls.there(steps.x_t, steps.done) if rolls else steps.x_t
        wanted = mix.wanted(steps.time)
        found = yield Calls(conditions.calls(wanted, x_t, steps.t, steps.time))
        velocity = mix.join(conditions.gather(wanted, found, num), steps.time, conditions.scales)
        x_0 = steps.take(rolls.back(velocity, steps.done) if rolls else velocity)
        if start:
            steps.x_t = start.kept(steps.x_t, steps.time)
        yield Progress(steps.done * num, last * num, Call("decode", (x_0,)))

    # 5. Pixels.
    latent = steps.x_t if steps.over else x_0
    images = backend.numpy((yield Call("decode", (around(latent) if rolls else latent,))))
    images = inside(images, grid, model.factor) if rolls else images
    return Painted(put_back(images, given, original) if given else images)


def mix_of(asked: Asked) -> Mix:
    """How the velocities of the parts of a prompt meet."""
    settings = asked.settings
    guidance = Guidance(settings["guidance_scale"], tuple(settings["guidance_interval"]))
    return Mix(guidance, [share for _, share in parts_of(asked)], settings.get("weird", 0))


def parts_of(asked: Asked) -> Sequence[tuple[str, float]]:
    """Words and their shares; the whole prompt where it has no parts."""
    parts: Sequence[tuple[str, float]] = asked.settings.get("parts") or [(asked.prompt, 1.0)]
    return parts


def understand(model: ModelInfo, backend: Backend, read: Read, asked: Asked) -> Way[Conditions]:
    """From words to what the network is told; the arguments are those of `by_steps`."""
    settings, texts = asked.settings, [text for text, _ in parts_of(asked)]
    usually = [common_words(model)] if settings.get("weird") else []
    calls = [Call("encode_text", (read(text),)) for text in (*texts, "", *usually)]
    features = yield Calls(tuple(calls))
    of = {**dict(enumerate(features[: len(texts)])), WITHOUT: features[len(texts)]}
    if usually:
        of[USUAL] = usual(features[-1])
    method = velocity_of(model, settings)
    if not (level := settings.get("chaos")):
        return Conditions(of, method=method)
    chaos = Chaos(level, asked.seed, asked.numbers, backend.asarray)
    return Conditions(of, chaos, scales=chaos.scales(settings["guidance_scale"]), method=method)


def velocity_of(model: ModelInfo, settings: Mapping[str, Any]) -> str:
    """What of the backend gives velocities: the model's network, or its student where the settings name it.

    Raises:
        ModelError: they name one that is not here.
    """
    named = settings.get("student")
    if named is None:
        return "velocity"
    student = student_of(model)
    if student is None or student.hash != named:
        here = "none" if student is None else student.hash
        raise ModelError(
            f"The settings ask for the student {named} of the model {model.name!r}, which has {here} now. "
            "Paint anew, or put that model's folder back."
        )
    return "student_velocity"


def image_channels(model: ModelInfo, backend: Backend) -> int:
    """C: of a model without an autoencoder, pixels are the latent."""
    autoencoder = model.manifest["autoencoder"]
    return autoencoder["image_channels"] if autoencoder else backend.latent_channels
