"""Arrays that networks read from pictures in, the numbers of one row of the tables out.

Letters N pictures, D features.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pictura.evaluate.metrics.bootstrap import Interval, mean_interval
from pictura.evaluate.metrics.diversity import diversity
from pictura.evaluate.metrics.frechet import advice, frechet_distance
from pictura.evaluate.metrics.kernel import kernel_distance, kernel_distance_subsets
from pictura.evaluate.metrics.manifold import manifold
from pictura.evaluate.metrics.memorisation import memorisation
from pictura.evaluate.metrics.retrieval import local_clip_scores, r_precision_hits
from pictura.evaluate.results import Agreement, Closeness, Likeness, Ranking, Row, Verdicts
from pictura.evaluate.scorers import Floats, Pictures, Scorer

NUM_CANDIDATES = 100
"""Captions of which R-precision finds the right one."""
_SUBSETS, _SUBSET_SIZE = 20, 1000


def verdicts(judge: Scorer, accepts: NDArray[np.bool_], pictures: Pictures) -> Verdicts:
    """Accuracies of one judge's verdicts (N,), with intervals over prompts."""
    tasks = np.array([prompt.task for prompt in pictures.prompts])
    seeds = np.array(pictures.seeds or [0] * len(pictures))
    names = list(dict.fromkeys(tasks.tolist()))

    def mean_of_tasks(chosen: NDArray[np.bool_]) -> float:
        return float(np.mean([accepts[chosen & (tasks == name)].mean() for name in names]))

    return Verdicts(
        judge=judge.name,
        hash=judge.hash,
        overall=_interval(accepts, pictures, strata=tasks.tolist()),
        tasks={name: _interval(accepts, pictures, chosen=tasks == name) for name in names},
        per_seed=tuple(mean_of_tasks(seeds == seed) for seed in np.unique(seeds)),
    )


def agreement(first: Scorer, second: Scorer, yes_1: NDArray[np.bool_], yes_2: NDArray[np.bool_]) -> Agreement:
    """Count the verdicts (N,) of two judges against each other."""
    return Agreement(
        first=first.name,
        second=second.name,
        both=int((yes_1 & yes_2).sum()),
        only_first=int((yes_1 & ~yes_2).sum()),
        only_second=int((~yes_1 & yes_2).sum()),
        neither=int((~yes_1 & ~yes_2).sum()),
    )


def closeness(clip: Scorer, images: Floats, texts: Floats, pictures: Pictures) -> Closeness:
    """How near pictures are to their sentences.

    Args:
        clip: whose embeddings they are.
        images: (N, D).
        texts: (N, D), of each picture's sentence.
        pictures: with their prompts.
    """
    captions = [prompt.text for prompt in pictures.prompts]
    precision = None
    if len(set(captions)) >= NUM_CANDIDATES:
        hits = r_precision_hits(images, texts, _rng(), captions=captions, num_others=NUM_CANDIDATES - 1)
        precision = _interval(hits, pictures)
    return Closeness(
        net=clip.name,
        hash=clip.hash,
        score=_interval(local_clip_scores(images, texts), pictures),
        r_precision=precision,
        num_candidates=NUM_CANDIDATES,
    )


def likeness(
    net: Scorer,
    features: Floats,
    pictures: Pictures,
    *,
    reference: Floats | None = None,
    real: Floats | None = None,
    thorough: bool = True,
) -> Likeness:
    """How near a set is to the reference in one feature space.

    Args:
        net: whose features they are.
        features: (N, D) of the set.
        pictures: the set.
        reference: features of the reference; without it only the diversity is told.
        real: features of other real pictures.
        thorough: False leaves out the spread of KD and the memorisation: for floors.
    """
    width = int(features.shape[1])
    prompts = [prompt.id for prompt in pictures.prompts]
    spread = None
    if min(Counter(prompts).values()) > 1:
        per_prompt = diversity(features, prompts)
        spread = mean_interval(list(per_prompt.values()), list(per_prompt), _rng())
    found: dict[str, Any] = {}
    if reference is not None:
        size = min(_SUBSET_SIZE, len(features) // 2, len(reference) // 2)
        balls = manifold(reference, features)
        found = {
            "fd": frechet_distance(reference, features),
            "kd": kernel_distance(reference, features),
            "precision": balls.precision,
            "recall": balls.recall,
            "density": balls.density,
            "coverage": balls.coverage,
            "caution": advice(min(len(features), len(reference)), width),
        }
        if thorough:
            subsets = kernel_distance_subsets(
                reference, features, _rng(), num_subsets=_SUBSETS, subset_size=max(size, 2)
            )
            found["kd_std"] = subsets.std
    if reference is not None and real is not None and thorough:
        near = memorisation(features, reference, real)
        found["memorisation"] = {
            "share": near.share,
            "expected": near.expected,
            "threshold": near.threshold,
            "copies": float(near.copies),
            "median": float(np.median(near.generated_distances)),
            "median_of_real": float(np.median(near.test_distances)),
        }
        found["nearest"] = tuple((pair.generated, pair.distance) for pair in near.pairs)
    return Likeness(net=net.name, hash=net.hash, width=width, diversity=spread, **found)


def ranking(rows: Sequence[Row], of: str) -> Ranking | None:
    """Put rows in order by FD-local in every net; None with fewer than two rows or without FD."""
    tables: dict[str, dict[str, float]] = {}
    for row in rows:
        for net in row.likeness:
            if net.fd is not None:
                tables.setdefault(net.net, {})[row.name] = net.fd
    tables = {name: table for name, table in tables.items() if len(table) == len(rows)}
    if len(rows) < 2 or not tables:
        return None
    orders = {name: tuple(sorted(table, key=table.__getitem__)) for name, table in tables.items()}
    return Ranking(
        orders=orders,
        tau={f"{a} and {b}": kendall_tau(orders[a], orders[b]) for a, b in combinations(orders, 2)},
        agree=len(set(orders.values())) == 1,
        of=of,
    )


def kendall_tau(first: Sequence[str], second: Sequence[str]) -> float:
    """Kendall's tau of two orders of the same names: pairs in the same order less the others, over all."""
    place = {name: number for number, name in enumerate(second)}
    pairs = [1 if place[a] < place[b] else -1 for a, b in combinations(first, 2)]
    return sum(pairs) / len(pairs)


def _interval(
    values: NDArray[Any],
    pictures: Pictures,
    *,
    strata: Sequence[str] | None = None,
    chosen: NDArray[np.bool_] | None = None,
) -> Interval:
    clusters = [prompt.id for prompt in pictures.prompts]
    if chosen is not None:
        values, clusters = values[chosen], [clusters[i] for i in np.flatnonzero(chosen)]
    return mean_interval(values.astype(np.float64), clusters, _rng(), strata=strata)


def _rng() -> np.random.Generator:
    """The same draws every time: equal pictures have equal intervals."""
    return np.random.Generator(np.random.Philox(0))
