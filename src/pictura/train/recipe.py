"""Training recipes: a TOML file in, typed and checked settings out.

Every table of the file is one dataclass below; a key that none of them has is an error that names the
nearest one, so that a misspelt setting never passes as a default.
"""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pictura.core.errors import ConfigError, did_you_mean
from pictura.core.tables import from_table, to_table
from pictura.store.models import AUTOREGRESSIVE, Sampling
from pictura.train.tasks.dvae_settings import DvaeSettings
from pictura.train.tasks.enlarger_settings import EnlargerSettings
from pictura.train.unclips.settings import UnclipSettings

__all__ = [
    "ADVERSARIAL",
    "BY_TOKENS",
    "ONE_PASS",
    "SAMPLING",
    "TASKS",
    "AdversarialSettings",
    "CriticSettings",
    "DataSettings",
    "DvaeSettings",
    "EnlargerSettings",
    "LogSettings",
    "ModelSettings",
    "Recipe",
    "TrainingSettings",
    "UnclipSettings",
    "from_table",
    "load_recipe",
    "read_toml",
    "to_table",
]

TASKS = {
    "flow": "pictura.train.tasks.flow:build",
    "autoencoder": "pictura.train.tasks.autoencoder:build",
    "dvae": "pictura.train.tasks.dvae:build",
    "judge": "pictura.train.tasks.judge:build",
    "clip": "pictura.train.tasks.clip:build",
    "damsm": "pictura.train.tasks.damsm:build",
    "stackgan": "pictura.train.gans.gan:build",
    "attngan": "pictura.train.gans.gan:build",
    "dfgan": "pictura.train.gans.gan:build",
    "dalle": "pictura.train.tasks.dalle:build",
    "unclip-decoder": "pictura.train.unclips.decoder:build",
    "unclip-upsampler": "pictura.train.unclips.upsampler:build",
    "unclip-prior": "pictura.train.unclips.prior:build",
    "unclip-ar-prior": "pictura.train.unclips.prior:build",
    "enlarger": "pictura.train.tasks.enlarger:build",
}
"""What can be learnt, and the function that makes it."""
ADVERSARIAL = ("stackgan", "attngan", "dfgan")
"""Tasks and families in which a generator and its discriminators learn against each other."""
STEPPERS = {
    **dict.fromkeys(ADVERSARIAL, "pictura.train.gans.adversarial:Adversarial"),
    "dvae": "pictura.train.tasks.dvae:Annealed",
    **dict.fromkeys(("unclip-prior", "unclip-ar-prior"), "pictura.train.unclips.prior:Remembering"),
}
"""What takes the steps of those tasks that are not gradient descent on one unchanging loss."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSettings:
    """What is learnt from."""

    kind: str = "captioned"
    """`captioned`: the user's own pictures and captions. `scenes`: composed from a glyph pack.
    `glyphs`: the single pictures of a glyph pack (for autoencoders)."""
    path: str = ""
    """Folder or file, relative to the recipe."""
    size: int = 64
    """Side of the training pictures, in pixels."""
    oversample: float = 2.0
    """`scenes`: side of the glyphs that pictures are composed of, in sides of a picture."""
    cache: str = ""
    """Where decoded pictures are kept between runs, relative to the recipe; empty keeps none."""
    other: float = 0.0
    """`scenes`: share of pictures outside the world list."""
    synonyms: float = 0.0
    """`scenes`: chance that a training caption says a thing by a further word, see `data.synonyms`."""
    half: str = ""
    """`scenes`: half of the training pictures to take, `A` or `B`; empty takes both."""
    compositions: bool = False
    """`scenes`: show held-out compositions too. For judges, which must know them; never for painters."""
    mix: dict[str, float] = field(default_factory=dict)
    """`scenes`: weights of the kinds, see `data.scenes.SceneMix`; empty is the usual mix."""
    aspects: float = 0.0
    """`scenes`, task `flow`: share of batches that are wider or taller than square, see `data.shapes`."""
    flip: bool = False
    """`captioned`: mirror pictures at random."""
    crop: float = 1.0
    """`captioned`: keep pictures so many times as large as `size`, and cut a window of `size` at random."""

    def __post_init__(self) -> None:
        if not 0.5 <= self.oversample <= 4:
            raise ConfigError(f"data.oversample must be in [0.5, 4]; got {self.oversample}.")
        if not 1 <= self.crop <= 2:
            raise ConfigError(f"data.crop must be in [1, 2]; got {self.crop}.")
        if not 0 <= self.synonyms <= 1:
            raise ConfigError(f"data.synonyms is a chance, from 0 to 1; got {self.synonyms}.")
        if self.synonyms and self.kind != "scenes":
            raise ConfigError(
                f"data.synonyms needs data.kind 'scenes', whose captions are written here; got {self.kind!r}."
            )
        if not 0 <= self.aspects <= 1:
            raise ConfigError(f"data.aspects is a share, from 0 to 1; got {self.aspects}.")
        if self.aspects and self.kind != "scenes":
            raise ConfigError(
                f"data.aspects needs data.kind 'scenes', which are composed in any shape; got {self.kind!r}."
            )
        if self.half not in ("", "A", "B"):
            raise ConfigError(f"data.half must be 'A', 'B' or empty; got {self.half!r}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSettings:
    """What is trained."""

    preset: str = "xs"
    """Of the family; for an autoencoder see `autoencoder_config`."""
    autoencoder: str = ""
    """`flow`: run, checkpoint or model folder whose autoencoder gives the space to paint in.
    `judge`, `enlarger`: through which some of the pictures go."""
    autoencoder_config: dict[str, Any] = field(default_factory=dict)
    """`autoencoder`: settings other than the defaults."""
    dvae_config: dict[str, Any] = field(default_factory=dict)
    """`dvae`: settings that replace the preset's, see `encode.dvae.config.DvaeConfig`."""
    dvae: str = ""
    """`dalle`: run, checkpoint or model folder of a discrete VAE, whose codes are learnt."""
    transformer: dict[str, Any] = field(default_factory=dict)
    """`dalle`: settings that replace the preset's, see `families.dalle.model.DalleConfig`."""
    judge: dict[str, Any] = field(default_factory=dict)
    """`judge`: `kind` (`detector` or `inquirer`) and settings of its network."""
    trunk: str = ""
    """`clip`, preset `detector`: name or folder of the judge whose convolutions its picture tower begins
    with, and by whose things both towers learn which has which colour and stands where, see
    `train.tasks.scene_codes`."""
    damsm: dict[str, Any] = field(default_factory=dict)
    """`damsm`: settings of its networks, see `encode.damsm.config.DamsmConfig`."""
    text: str = ""
    """Adversarial families: run or checkpoint of a DAMSM, whose text tower reads the captions."""
    fidelity: str = ""
    """`damsm`, adversarial families: `paper` or `code`, where the two differ; empty is the preset's."""
    gan: dict[str, Any] = field(default_factory=dict)
    """Adversarial families: settings of the networks that replace the preset's."""
    clip_model: str = "clip-guide"
    """`unclip-*`: name or folder of the CLIP whose embeddings are learnt."""
    decoder: dict[str, Any] = field(default_factory=dict)
    """`unclip-decoder`: settings that replace the preset's, see `families.unclip.decoder.DecoderConfig`."""
    upsampler: dict[str, Any] = field(default_factory=dict)
    """`unclip-upsampler`: the same, see `families.unclip.upsampler.UpsamplerConfig`."""
    prior: dict[str, Any] = field(default_factory=dict)
    """`unclip-prior`, `unclip-ar-prior`: settings that replace the preset's."""
    init_from: str = ""
    """Model name or folder to start from, its tokenizer included; empty starts from noise."""
    vocab_size: int = 4096
    max_tokens: int = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSettings:
    """How it is trained."""

    num_steps: int = 100_000
    """Optimiser steps in all."""
    max_minutes: float = 0.0
    """Stop after so many minutes of this stretch, with the decay done; 0 = no limit."""
    batch_size: int = 16
    """Pictures per process and per backward pass."""
    accumulate: int = 1
    """Backward passes per optimiser step."""
    optimizer: str = "adamw"
    """`adamw`, or `muon` (matrices of blocks and kernels of U-Nets by Muon, the rest by AdamW)."""
    learning_rate: float = 1e-3
    muon_learning_rate: float = 1e-2
    weight_decay: float = 0.0
    warmup_steps: int = 200
    halve_every: int = 0
    """Halve the rate after every so many steps; 0 = never."""
    decay_fraction: float = 0.2
    """Last part of the run over which the rate falls linearly to zero."""
    max_grad_norm: float = 1.0
    ema_long: float = 0.9995
    ema_short: float = 0.998
    caption_dropout: float = 0.1
    """Share of captions replaced by the empty one, for guidance."""
    bpe_dropout: float = 0.1
    """`dalle`: chance that a merge of the tokenizer is left out, so that words are seen in other pieces."""
    remember: int = 0
    """`unclip-prior`, `unclip-ar-prior`: learn from so many batches again and again, whose embeddings are
    kept in memory; 0 sees every picture once."""
    time_shift: float = 3.0
    """Above 1, training times lean towards noise (t' = s t / (1 + (s - 1) t)), where the caption matters."""
    kl_weight: float = 1e-3
    """`autoencoder`: weight of the KL term."""
    latent_noise: float = 0.0
    """`autoencoder`: above 0 the decoder of `model.init_from` alone learns, from latents with noise of
    strengths from 0 to this, in deviations of a latent: what painters' errors are like."""
    bf16: bool = False
    """Multiply in bf16 on a CPU too, as CUDA always does; pays where the CPU has AVX-512 BF16 or AMX."""
    compile: bool = False
    """torch.compile of the training step; pays on CPUs with a C++ compiler, and on CUDA."""

    def __post_init__(self) -> None:
        if self.optimizer not in ("adamw", "muon"):
            raise ConfigError(f"training.optimizer must be 'adamw' or 'muon'; got {self.optimizer!r}.")
        for name in ("num_steps", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise ConfigError(f"training.{name} must be at least 1; got {getattr(self, name)}.")
        for name in ("decay_fraction", "caption_dropout", "bpe_dropout", "ema_long", "ema_short"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"training.{name} must be in [0, 1]; got {getattr(self, name)}.")
        if not self.latent_noise >= 0:
            raise ConfigError(f"training.latent_noise must be at least 0; got {self.latent_noise}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class AdversarialSettings:
    """How a generator and its discriminators are trained; the families' pages say what was published."""

    discriminator_learning_rate: float = 2e-4
    """Of Adam; the generator's is `training.learning_rate`."""
    beta1: float = 0.5
    beta2: float = 0.999
    kl_weight: float = 2.0
    """Of the conditioning augmentation's divergence from N(0, 1)."""
    unconditional_weight: float = 1.0
    """Of whether a picture is real at all, against whether it is of the sentence."""
    match_weight: float = 0.0
    """Of the DAMSM's four losses on the finest picture."""
    penalty_weight: float = 2.0
    """`dfgan`: of the matching-aware gradient penalty."""
    penalty_power: float = 6.0
    saturated: float = 0.995
    """Stop when every discriminator is right about more than this share of pictures, has nothing left to
    learn, and the generator's loss rises; 1 = never."""
    least_diversity: float = 0.1
    """Stop when painted pictures of a batch differ less than this share of what real ones do, 0 = never."""
    alarm_steps: int = 1000
    """Steps over which both are averaged."""

    def __post_init__(self) -> None:
        for name in ("kl_weight", "unconditional_weight", "match_weight", "penalty_weight"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"adversarial.{name} must be at least 0; got {getattr(self, name)}.")
        if self.alarm_steps < 1:
            raise ConfigError(f"adversarial.alarm_steps must be at least 1; got {self.alarm_steps}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class CriticSettings:
    """A reward that a generator raises beside its adversarial loss, see docs/algorithms/critic.md."""

    rewards: tuple[dict[str, Any], ...] = ()
    """Tables as `pictura learn` has them; none is no critic."""
    weight: float = 1.0
    """Of the reward in the generator's loss; 0 only looks on."""
    surrogate: bool = False
    """Learn to guess the reward and follow the guess: for rewards that have no gradient."""
    surrogate_learning_rate: float = 1e-3
    """Of Adam, which teaches the surrogate."""
    share: float = 1.0
    """Share of the painted pictures of a step that the reward is asked about, for the surrogate."""
    memory: int = 512
    """Newest answers of the reward that the surrogate learns from again."""
    floor: float = 0.5
    """Follow the surrogate only while its guesses correlate at least this much with the newest answers."""
    warmup_steps: int = 100
    """Steps that the surrogate learns before it is followed."""

    def __post_init__(self) -> None:
        for name in ("weight", "surrogate_learning_rate"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"critic.{name} must be at least 0; got {getattr(self, name)}.")
        for name in ("share", "floor"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"critic.{name} must be above 0 and at most 1; got {getattr(self, name)}.")
        if self.memory < 32:
            raise ConfigError(f"critic.memory must be at least 32; got {self.memory}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class LogSettings:
    """What is written along the way, in steps (0 = never)."""

    metrics_every: int = 20
    validate_every: int = 500
    sample_every: int = 1000
    checkpoint_every: int = 500
    keep_checkpoints: int = 2
    keep_best: bool = True
    """Keep the checkpoint of the lowest validation loss so far, where there is a validation along the way."""
    prompts: tuple[str, ...] = ()
    """`flow`: prompts of the sample grids; empty takes validation captions."""

    def __post_init__(self) -> None:
        if self.keep_checkpoints < 1:
            raise ConfigError(f"log.keep_checkpoints must be at least 1; got {self.keep_checkpoints}.")


SAMPLING = Sampling(solver="ab2", num_steps=12, guidance_scale=2.5, guidance_interval=(0.1, 1.0), shift=3.0)
ONE_PASS = Sampling(
    solver="one_pass", num_steps=1, guidance_scale=1.0, guidance_interval=(0.0, 1.0), shift=1.0
)
"""How every adversarial family paints."""
BY_TOKENS = Sampling(
    solver=AUTOREGRESSIVE, num_steps=1, guidance_scale=3.0, guidance_interval=(0.0, 1.0), shift=1.0
)
"""How painters by tokens paint."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """One training run."""

    task: str
    """One of `TASKS`."""
    name: str
    """Folder of the run inside `runs/`."""
    seed: int = 0
    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    dvae: DvaeSettings = field(default_factory=DvaeSettings)
    unclip: UnclipSettings = field(default_factory=UnclipSettings)
    enlarger: EnlargerSettings = field(default_factory=EnlargerSettings)
    adversarial: AdversarialSettings = field(default_factory=AdversarialSettings)
    critic: CriticSettings = field(default_factory=CriticSettings)
    log: LogSettings = field(default_factory=LogSettings)
    sampling: Sampling | None = None
    """How the model paints unless told otherwise; part of what `pictura export` writes. Not given, it is what
    `init_from` does, else `SAMPLING`."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            raise ConfigError(
                f"The recipe's name names a folder: letters, digits, '.', '_' and '-'; got {self.name!r}."
            )
        if self.task not in TASKS:
            allowed = " or ".join(map(repr, TASKS))
            raise ConfigError(
                f"The recipe's task must be {allowed}; got {self.task!r}. {did_you_mean(self.task, TASKS)}"
            )
        if self.data.aspects and self.task != "flow":
            raise ConfigError(
                f"data.aspects is for the task 'flow', whose network paints any shape; got {self.task!r}. "
                "Leave it out."
            )
        if self.critic.rewards and self.task not in ADVERSARIAL:
            raise ConfigError(
                f"critic.rewards is for generators, whose discriminators keep pictures real while a reward "
                f"is raised; the task {self.task!r} has none. Train it first, then: pictura learn."
            )


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe file.

    Raises:
        ConfigError: the file is missing, is no TOML, or has a key or value that no setting allows.
    """
    return from_table(Recipe, read_toml(path), str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """Read a recipe file.

    Raises:
        ConfigError: it is missing or no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The recipe {path} cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The recipe {path} is not valid TOML: {error}.") from error
