"""Painting along a velocity, from noise to latent to pixels. The whole way is here, in order.

Letters B pictures, C latent channels, h w latent size, H W picture size, T text tokens.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pictura.core.types import Backend
from pictura.sample.calls import Asked, Call, Calls, Painted, Progress, Way
from pictura.sample.guidance import Guidance
from pictura.sample.ode import Steps, check_solver
from pictura.sample.randomness import noise
from pictura.sample.schedules import time_grid
from pictura.sample.sizes import nearest_grid
from pictura.store.models import ModelInfo


def by_steps(
    model: ModelInfo, backend: Backend, read: Callable[[str], NDArray[np.int64]], asked: Asked
) -> Way[Painted]:
    """From words to pixels (B, C, H, W).

    Args:
        model: that paints.
        backend: its networks, which are not called here.
        read: words to token ids (T,).
        asked: what to paint.
    """
    settings, num = asked.settings, len(asked.numbers)
    check_solver(settings["solver"])
    times = time_grid(settings["num_steps"], shift=settings["shift"])
    guidance = Guidance(settings["guidance_scale"], tuple(settings["guidance_interval"]))

    # 1. and 2. Read the prompt, and nothing, which guidance steers away from.
    text = yield Call("encode_text", (read(asked.prompt),))
    no_text = yield Call("encode_text", (read(""),))

    # 3. Noise, of the shape nearest to the wanted one among those that the network was trained for.
    width, height = settings["size"]
    h, w = nearest_grid(model.grids, width, height, model.factor)
    noise_BChw = np.stack([noise(asked.seed, i, (backend.latent_channels, h, w)) for i in asked.numbers])

    # 4. From noise to image.
    steps = Steps(backend.asarray(noise_BChw), times, settings["solver"])
    while not steps.over:
        x_t, t = steps.x_t, steps.t
        told = [text, no_text] if guidance.on(steps.time) else [text]
        found = yield Calls(tuple(Call("velocity", (x_t, t, cond)) for cond in told))
        velocity = guidance.join(*found) if len(found) > 1 else found[0]
        x_0 = steps.take(velocity)
        yield Progress(steps.done * num, steps.num * num, Call("decode", (x_0,)))

    # 5. Pixels.
    return Painted(backend.numpy((yield Call("decode", (steps.x_t,)))))
