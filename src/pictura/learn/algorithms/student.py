"""Step distillation: learn to go in one step, without guidance, where guided painting goes in several.

A guided reference walks its usual grid of times. At every `substeps`-th of them the policy is asked for one
velocity, and learns the mean velocity of the reference's next `substeps` steps: the one that lands, in a
single step of Euler's, where these land. From there the reference goes on, or from where the policy landed,
so that the policy learns at its own mistakes too. A policy without loss paints the reference's very pictures.
No reward is needed.

Source  Salimans & Ho 2022, Progressive distillation (arXiv:2202.00512), algorithm 2 and section 4: where one
        step must land for the teacher's, and the weight max(SNR, 1) on the squared error of x_0. Meng et al.
        2022 (arXiv:2210.03142), stage 2: guidance goes into the same student. Zhou et al. 2024
        (arXiv:2405.16852), Simple and Fast Distillation: states from the student's own way. Differs: one
        round in the place of many halvings; the error in x_0 has weight 1 at all times, as max(SNR, 1) has at
        t of 1/2 and above, where all steps of a grid bent by 3 begin. Not MeanFlow (arXiv:2505.13447), which
        is told the interval as a second time: these networks have no input for it and what ships is a change
        of low rank to them; nor consistency distillation (arXiv:2303.01469), which learns all times where
        four are used, and whose samples must be noised again.
Letters B pictures, C channels, h w latent size.
Units   t in [0, 1], 1 = noise; velocity = noise - x_0.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.learn import draws
from pictura.learn.actors import Actors
from pictura.learn.algorithm import Loss, Noise
from pictura.learn.guided import check_guidance, guided_way
from pictura.learn.recipe import RolloutSettings
from pictura.learn.rollout import Experience
from pictura.learn.surrogate import averaged
from pictura.sample.ode import Steps, check_solver
from pictura.sample.schedules import time_grid


@dataclass(frozen=True, kw_only=True, slots=True)
class StudentSettings:
    """Of step distillation."""

    num_steps: int = 4
    """Of the student; `rollout.num_steps` must be the same."""
    substeps: int = 3
    """Steps of the reference in the place of one of the student's."""
    solver: str = "ab2"
    """Of the reference."""
    shift: float = 3.0
    """Of the times of both; `rollout.shift` must be the same."""
    guidance_scale: float = 4.0
    """Of the reference."""
    guidance_interval: tuple[float, float] = (0.1, 1.0)
    """The times at which its guidance is on."""
    own: float = 0.5
    """Share of the steps after which a picture goes on from where the student landed."""

    def __post_init__(self) -> None:
        check_solver(self.solver)
        check_guidance(self.guidance_scale, self.guidance_interval)
        if self.substeps < 1 or not 0 <= self.own <= 1:
            raise ConfigError(
                "algorithm.substeps must be at least 1 and algorithm.own from 0 to 1; "
                f"got {self.substeps} and {self.own}."
            )
        time_grid(self.num_steps * self.substeps, shift=self.shift)


class Student:
    """Step distillation."""

    Settings: ClassVar = StudentSettings
    name: ClassVar = "student"
    needs: ClassVar[Literal["velocity"]] = "velocity"
    behaviour: ClassVar[Literal["old"]] = "old"
    compares: ClassVar = False
    differentiable: ClassVar = False
    noise: ClassVar = Noise()

    def __init__(self, settings: StudentSettings) -> None:
        self.settings = settings

    def check(self, rollout: RolloutSettings) -> None:
        """Refuse rollouts, which are the tests and the exported student's way too, that are not its steps.

        Raises:
            ConfigError: they are not; the message says what they must be.
        """
        s = self.settings
        wanted = {"num_steps": s.num_steps, "solver": "euler", "shift": s.shift, "guidance_scale": 1.0}
        for name, value in wanted.items():
            if getattr(rollout, name) != value:
                raise ConfigError(
                    f"rollout.{name} must be {value!r} for this student, as it paints so; "
                    f"got {getattr(rollout, name)!r}."
                )

    def stochastic(self, num_steps: int, rng: np.random.Generator) -> frozenset[int]:
        """None."""
        return frozenset()

    def loss(self, actors: Actors, batch: Experience) -> Loss:
        """What some whole groups teach: of each picture its noise alone is taken."""
        s = self.settings
        teacher = Steps(batch.noise, time_grid(s.num_steps * s.substeps, shift=s.shift), s.solver)
        velocity = guided_way(
            actors.reference, actors.policy, batch.cond, scale=s.guidance_scale, interval=s.guidance_interval
        )
        losses, metrics = [], []
        for step in range(s.num_steps):
            x_t, t, time = teacher.x_t, teacher.t, teacher.time
            new = actors.new(x_t, t, batch.cond).float()
            with torch.no_grad():
                for _ in range(s.substeps):
                    teacher.take(velocity(teacher.x_t, teacher.t).float())
            dt = teacher.time - time
            wanted = (teacher.x_t - x_t) / dt
            error_B = time**2 * (new - wanted).square().flatten(1).mean(1)
            losses.append(error_B)
            landed = x_t + dt * new.detach()
            missed = (landed - teacher.x_t).square().mean().item()
            metrics.append({"error": error_B.mean().item(), "missed": missed})
            teacher.x_t = torch.where(self._own(batch, step), landed, teacher.x_t)
        return Loss(per_picture=torch.stack(losses).mean(0), metrics=averaged(metrics))

    def old_decay(self, update: int) -> float:
        """The student of the moment paints."""
        return 0.0

    def _own(self, batch: Experience, step: int) -> Tensor:
        """(B, 1, 1, 1) whether a picture goes on from where the student landed."""
        drawn = draws.uniform(batch.seeds, draws.LEARN + step) < self.settings.own
        return drawn.to(batch.noise.device)[:, None, None, None]
