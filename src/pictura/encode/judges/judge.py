"""A judge with its weights: pictures and claims in, the chance that each picture shows what is claimed out.

A judge trained on hundreds of things spreads its chances over those alike. Asked whether *this* thing is
there, what counts is its share against a small floor: p / (p + floor). A picture passes at a threshold for
each task; the thresholds were set on pictures that the judge had never seen (`evaluate/judging.py`).

Letters N pictures, P peaks, T things, K colours.
Units   pictures float32 in [0, 1], (N, 3, 64, 64), on light grey; centres as fractions of the picture.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from pictura.core.errors import ConfigError, ModelError
from pictura.core.types import Claim, Demand
from pictura.encode.judges.detector import Detections, Detector, DetectorConfig, peaks
from pictura.encode.judges.inquirer import Answers, Inquirer, InquirerConfig
from pictura.store.models import ModelInfo
from pictura.store.weights import read_weights

Floats = NDArray[np.float64]
_BATCH = 128
_AXES = {"left of": (0, 1), "right of": (0, -1), "above": (1, 1), "below": (1, -1)}


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeFile:
    """What a model folder says of its judge."""

    name: str
    hash: str
    """First 12 hex digits of its model hash."""
    table: Mapping[str, Any]
    """`kind`, `network` (fields of its config), `things`, `colours`, `calibration`."""
    weights: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """How a judge's numbers become verdicts."""

    thing_floor: float = 0.001
    colour_floor: float = 1.0
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """For each task the least chance that passes; 0.5 where there is none."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look at pictures gives."""

    chances: Floats
    """(N,) that each picture shows what is claimed of it."""
    features: NDArray[np.float32]
    """(N, D): what the judge sees before it names it."""


class Judge(Protocol):
    """Reads pictures."""

    name: str
    hash: str
    """First 12 hex digits of its model hash."""
    things: tuple[str, ...]

    def look(self, images: NDArray[np.float32], claims: Sequence[Claim]) -> Sight:
        """What it sees in pictures (N, 3, 64, 64), and how well that fits N claims."""
        ...

    def verify(self, images: NDArray[np.float32], claims: Sequence[Claim]) -> Floats:
        """The chance (N,) that each picture shows what is claimed of it."""
        ...

    def passes(self, chances: Floats, tasks: Sequence[str]) -> NDArray[np.bool_]:
        """Whether chances (N,) are enough, each for its GlyphBench task."""
        ...

    def features(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the judge sees before it names it: (N, D)."""
        ...

    def read(self, images: NDArray[np.float32]) -> list[str]:
        """What is there, in a few words for people."""
        ...


class _TorchJudge(ABC):
    """What both judges share: their folder, batches, verdicts."""

    width: int
    """D of the features."""

    def __init__(self, file: JudgeFile, network: torch.nn.Module, device: str) -> None:
        table = file.table
        self.name, self.hash = file.name, file.hash
        self.things: tuple[str, ...] = tuple(table["things"])
        self.colours: tuple[str, ...] = tuple(table["colours"])
        self.calibration = Calibration(**table.get("calibration", {}))
        self.device = device
        self._thing = {phrase: i for i, phrase in enumerate(self.things)}
        self._colour = {name: i for i, name in enumerate(self.colours)}
        weights = {
            name.removeprefix("network."): torch.from_numpy(array) for name, array in file.weights.items()
        }
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise ModelError(f"The weights of {file.name!r} do not fit its model.json: {error}") from error
        self.network = network.eval().requires_grad_(False).to(device)

    def look(self, images: NDArray[np.float32], claims: Sequence[Claim]) -> Sight:
        """What it sees in pictures (N, 3, 64, 64), and how well that fits N claims.

        Raises:
            ConfigError: there are not as many claims as pictures, or one names a thing that is unknown.
        """
        if len(images) != len(claims):
            raise ConfigError(
                f"A judge needs one claim for each picture; got {len(claims)} for {len(images)}."
            )
        for claim in claims:
            self._check(claim)
        chances, features = [np.zeros(0)], [np.zeros((0, self.width), dtype=np.float32)]
        for start, batch in self._batches(images):
            with torch.no_grad():
                said = self.network(batch)
            chances.append(self._chances(said, claims[start : start + len(batch)]))
            features.append(said.features.cpu().numpy())
        return Sight(np.concatenate(chances), np.concatenate(features))

    def verify(self, images: NDArray[np.float32], claims: Sequence[Claim]) -> Floats:
        """The chance (N,) that each picture shows what is claimed of it; see `look`."""
        return self.look(images, claims).chances

    def passes(self, chances: Floats, tasks: Sequence[str]) -> NDArray[np.bool_]:
        """Whether chances (N,) are enough, each for its GlyphBench task."""
        return chances >= np.array([self.calibration.thresholds.get(task, 0.5) for task in tasks])

    @abstractmethod
    def _chances(self, said: Any, claims: Sequence[Claim]) -> Floats:
        """How well what the network said of a batch fits claims that are known to be sound."""

    def _check(self, claim: Claim) -> None:
        for demand in claim.objects:
            if demand.thing not in self._thing:
                raise ConfigError(f"The judge {self.name!r} does not know the thing {demand.thing!r}.")
            if demand.colour is not None and demand.colour not in self._colour:
                raise ConfigError(f"The judge {self.name!r} does not know the colour {demand.colour!r}.")

    def _batches(self, images: NDArray[np.float32]) -> Iterator[tuple[int, torch.Tensor]]:
        for start in range(0, len(images), _BATCH):
            yield start, torch.from_numpy(images[start : start + _BATCH]).to(self.device)

    def features(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the judge sees before it names it: (N, D)."""
        with torch.no_grad():
            rows = [self.network(batch).features.cpu().numpy() for _, batch in self._batches(images)]
        return np.concatenate(rows)

    def _share(self, chance: Floats, floor: float) -> Floats:
        return chance / (chance + floor) * (1 + floor)


class DetectorJudge(_TorchJudge):
    """Judge A: finds things, then compares them with the claim."""

    network: Detector

    def __init__(self, file: JudgeFile, *, device: str = "cpu") -> None:
        config = file.table["network"]
        network = Detector(DetectorConfig(**{k: _tuple(v) for k, v in config.items()}))
        super().__init__(file, network, device)
        self.width = network.width

    def _peaks(self, said: Detections) -> "_Found":
        found = peaks(said)
        return _Found(
            *(
                part.double().cpu().numpy()
                for part in (found.presence, found.things, found.colours, found.centres)
            )
        )

    def _chances(self, said: Detections, claims: Sequence[Claim]) -> Floats:
        found = self._peaks(said)
        return np.array([self._chance(found, i, claim) for i, claim in enumerate(claims)])

    def _chance(self, found: "_Found", i: int, claim: Claim) -> float:
        shares = [self._matches(found, i, demand) for demand in claim.objects]
        if len(shares) == 1:
            best, count = float(shares[0].max()), claim.objects[0].count
            if count is None or best == 0:
                return best
            # Several of one thing look alike: what is half as like it as the best one counts.
            alike = found.presence[i] * np.minimum(2 * shares[0] / (best * found.presence[i] + 1e-9), 1)
            return best * _exactly(alike, count)
        both = shares[0][:, None] * shares[1][None, :]
        np.fill_diagonal(both, 0)  # one peak is not two things
        if claim.relation is not None:
            both = both * stands(found.centres[i][:, None], found.centres[i][None, :], claim.relation)
        return float(both.max())

    def _matches(self, found: "_Found", i: int, demand: Demand) -> Floats:
        """The chance (P,) that each peak is what is demanded."""
        thing = found.things[i, :, self._thing[demand.thing]]
        match = found.presence[i] * self._share(thing, self.calibration.thing_floor)
        if demand.colour is not None:
            colour = found.colours[i, :, self._colour[demand.colour]]
            match = match * self._share(colour, self.calibration.colour_floor)
        return match

    @torch.no_grad()
    def read(self, images: NDArray[np.float32]) -> list[str]:
        """What is there, in a few words for people."""
        said = []
        for _, batch in self._batches(images):
            found = self._peaks(self.network(batch))
            for i in range(len(batch)):
                words = [
                    " ".join(
                        filter(
                            None, (self._look(found.colours[i, p]), self.things[found.things[i, p].argmax()])
                        )
                    )
                    for p in range(found.presence.shape[1])
                    if found.presence[i, p] > 0.5
                ]
                said.append(", ".join(words) or "nothing")
        return said

    def _look(self, colours: Floats) -> str:
        best = int(colours.argmax())
        return self.colours[best] if best < len(self.colours) else ""


class InquirerJudge(_TorchJudge):
    """Judge B: asks for each thing of the claim how many there are, in which colour and where."""

    def __init__(self, file: JudgeFile, *, device: str = "cpu") -> None:
        config = file.table["network"]
        network = Inquirer(InquirerConfig(**{k: _tuple(v) for k, v in config.items()}))
        super().__init__(file, network, device)
        self.width = network.config.width

    def _answers(self, said: Answers) -> tuple[Floats, Floats, Floats]:
        counts, colours = said.counts.double().softmax(dim=-1), said.colours.double().softmax(dim=-1)
        return counts.cpu().numpy(), colours.cpu().numpy(), said.centres.double().cpu().numpy()

    def _chances(self, said: Answers, claims: Sequence[Claim]) -> Floats:
        counts, colours, centres = self._answers(said)
        chances = np.ones(len(claims))
        for i, claim in enumerate(claims):
            for demand in claim.objects:
                thing = self._thing[demand.thing]
                there = self._share(1 - counts[i, thing, 0], self.calibration.thing_floor)
                chances[i] *= there
                if demand.count is not None:
                    some = counts[i, thing, 1:]
                    chances[i] *= some[demand.count - 1] / max(some.sum(), 1e-12)
                if demand.colour is not None:
                    colour = colours[i, thing, self._colour[demand.colour]]
                    chances[i] *= self._share(colour, self.calibration.colour_floor)
            if claim.relation is not None:
                first, second = (centres[i, self._thing[demand.thing]] for demand in claim.objects)
                chances[i] *= stands(first, second, claim.relation)
        return chances

    @torch.no_grad()
    def read(self, images: NDArray[np.float32]) -> list[str]:
        """What is there, in a few words for people."""
        said = []
        for _, batch in self._batches(images):
            counts, colours, _ = self._answers(self.network(batch))
            for i in range(len(batch)):
                there = 1 - counts[i, :, 0]
                best = [t for t in np.argsort(-there)[:4] if there[t] > 0.5]
                words = []
                for t in best:
                    look = int(colours[i, t].argmax())
                    colour = self.colours[look] if look < len(self.colours) else ""
                    number = int(counts[i, t, 1:].argmax()) + 1
                    words.append(" ".join(filter(None, (str(number), colour, self.things[t]))))
                said.append(", ".join(words) or "nothing")
        return said


@dataclass(frozen=True, slots=True)
class _Found:
    presence: Floats
    things: Floats
    colours: Floats
    centres: Floats


def open_judge(file: JudgeFile, *, device: str = "cpu") -> DetectorJudge | InquirerJudge:
    """A judge, ready to read.

    Raises:
        ModelError: its kind is unknown, or its weights do not fit.
    """
    kind = file.table.get("kind")
    if kind == "detector":
        return DetectorJudge(file, device=device)
    if kind == "inquirer":
        return InquirerJudge(file, device=device)
    raise ModelError(f"{file.name!r} is no judge that this Pictura knows: it is of kind {kind!r}.")


def judge_of(model: ModelInfo, *, device: str = "cpu") -> DetectorJudge | InquirerJudge:
    """The judge of a model folder, checked.

    Raises:
        ModelError: the folder is damaged or holds none.
    """
    model.verify()
    if "judge" not in model.manifest:
        raise ModelError(f"{model.path} holds no judge. Name one whose model.json has a table 'judge'.")
    weights = read_weights(model.path)
    file = JudgeFile(name=model.name, hash=model.hash[:12], table=model.manifest["judge"], weights=weights)
    return open_judge(file, device=device)


def stands(first: Any, second: Any, relation: str) -> Floats:
    """How surely the first stands so to the second, 0 to 1, from centres (…, 2).

    A tenth of the picture apart along the axis, and not much further apart along the other one.
    """
    axis, sign = _AXES[relation]
    apart = sign * (second[..., axis] - first[..., axis])
    across = np.abs(second[..., 1 - axis] - first[..., 1 - axis])
    return _sigmoid((apart - 0.1) / 0.02) * _sigmoid((apart - 0.7 * across) / 0.02)


def _exactly(chances: Floats, count: int) -> float:
    """The chance that exactly `count` of independent events happen."""
    numbers = np.zeros(len(chances) + 1)
    numbers[0] = 1
    for chance in np.minimum(chances, 1):
        numbers[1:] = numbers[1:] * (1 - chance) + numbers[:-1] * chance
        numbers[0] *= 1 - chance
    return float(numbers[count])


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(x, -50, 50)))


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
