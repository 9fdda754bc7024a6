"""Learning from ratings, whole, with simulated raters: a planted taste, and raters that press any key.

    python -m benchmarks.taste --out FOLDER [paint | rate | spam | learn | prove | show]

paint   100 prompts, four pictures each, by the default model through the studio's queue and worker
rate    one rater answers 200 questions of the studio (actively chosen, sides by chance, one in ten a repeat):
        the warmer picture is preferred by a noisy Bradley-Terry choice
spam    500 answers at random, or always to the left: alone, and beside the one who means it
learn   `pictura learn --from-ratings`
prove   what `default` paints of held-out prompts before and after, pair by pair
show    the same as pictures: grid.png

Each stage leaves a file; run it again to go on. Warmth is mean tanh((red - blue) / 0.2) over a picture: none
of the features that the head sees, though one of them, mean red - blue, is near.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

RATED_PROMPTS, ANSWERS, SPAM_ANSWERS = 100, 200, 500
SHARPNESS = 40.0
"""Logits of a choice for 1 of warmth: the warmer of two pictures of a grid wins 78 of 100 choices."""
PROVED_PROMPTS, PICTURES = 64, 4
SIZE = (64, 64)
Chooses = Callable[[float, float, random.Random], str]


def warmth(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,) of pictures (N, 3, H, W) on light grey."""
    return np.tanh((images[:, 0] - images[:, 2]) / 0.2).mean(axis=(1, 2)).astype(np.float64)


def seen(picture: Image.Image) -> NDArray[np.float32]:
    """A picture as scorers see it, (1, 3, H, W)."""
    from pictura.core import images

    return np.clip(images.on_background(images.from_pil([picture])), 0, 1)


def honest(left: float, right: float, dice: random.Random) -> str:
    """The warmer one, more surely the warmer it is."""
    return "left" if dice.random() < 1 / (1 + np.exp(-SHARPNESS * (left - right))) else "right"


def by_chance(left: float, right: float, dice: random.Random) -> str:
    return dice.choice(("left", "right"))


def always_left(left: float, right: float, dice: random.Random) -> str:
    return "left"


def paint(home: Path) -> dict[str, Any]:
    from sqlalchemy import update

    from pictura.api.access.accounts import local_user
    from pictura.data.vocabulary.claims import ClaimSource
    from pictura.data.vocabulary.holdouts import Holdouts
    from pictura.data.vocabulary.world import World
    from pictura.engine.models import WarmModels
    from pictura.jobs.queue import Queue
    from pictura.jobs.values import JobRequest
    from pictura.jobs.worker import Worker
    from pictura.learn.prompts import SHARE, place
    from pictura.store.database import Database
    from pictura.store.files import Files
    from pictura.store.tables import Image as Row

    database, files = Database.open(), Files()
    queue = Queue(database, files)
    source = ClaimSource(World.load(), Holdouts.load(), seed=7)
    asked = {prompt.text: prompt for prompt in source.prompts(0, 400) if place(prompt) >= SHARE}
    texts = list(asked)[:RATED_PROMPTS]
    requests = [
        JobRequest(
            num_images=4,
            request={
                "prompt": text,
                "model": "flow",
                "choices": {"seed": number, "size": list(SIZE)},
                "num_previews": 0,
            },
        )
        for number, text in enumerate(texts)
    ]
    user = local_user(database)
    jobs = queue.submit_all(requests, user.id, "fast", idempotency_key="taste", fingerprint="taste")
    worker = Worker(queue, WarmModels(device="cpu", num_cores=1))
    waiting = {job.id for job in jobs}

    def all_done() -> bool:
        waiting.difference_update([one for one in list(waiting)[:1] if queue.get(one, None).state == "done"])
        return not waiting

    worker.run(all_done)
    with database.write() as session:  # so that others may rate
        session.execute(update(Row).values(visibility="public"))
    return {"prompts": len(texts), "pictures": 4 * len(texts)}


def rate(name: str, chooses: Chooses, answers: int, *, seed: int) -> dict[str, Any]:
    """Let somebody answer what the studio asks; who has answered enough is left alone."""
    from sqlalchemy import func, select

    from pictura.api.access.accounts import add_user
    from pictura.store.database import Database
    from pictura.store.files import Files
    from pictura.store.ratings.choosing import answer, next_pair
    from pictura.store.ratings.events import Rater, set_consent
    from pictura.store.tables import Pair, User

    database, files = Database.open(), Files()
    with database.read() as session:
        user = session.scalar(select(User).where(User.name == name))
    user = user or add_user(database, name, None)
    set_consent(database, user.id, True)
    dice, warm = random.Random(seed), dict[str, float]()
    with database.read() as session:
        done = session.scalars(
            select(func.count()).where(Pair.user_id == user.id, Pair.choice.is_not(None))
        ).one()
    warmer = 0
    for _ in range(done, answers):
        asked = next_pair(database, files, Rater(user_id=user.id), rng=dice)
        for one in (asked.left, asked.right):
            if one.id not in warm:
                with Image.open(files._full(one.path)) as opened:
                    warm[one.id] = float(warmth(seen(opened))[0])
        left, right = warm[asked.left.id], warm[asked.right.id]
        choice = chooses(left, right, dice)
        warmer += (choice == "left") == (left > right)
        answer(database, user.id, asked.pair.token, choice, int(dice.uniform(900, 4000)))  # type: ignore[arg-type]
    return {"answers": answers, "warmer_preferred": warmer / max(1, answers - done)}


def spam(home: Path, out: Path) -> dict[str, Any]:
    """What becomes of raters that mean nothing; each case in a copy of the studio, without any learning."""
    from pictura.learn.taste.heads import fit_heads
    from pictura.learn.taste.pairs import from_database, look_at
    from pictura.learn.taste.raters import check_raters
    from pictura.store.database import Database
    from pictura.store.files import Files

    found: dict[str, Any] = {}
    for case, chooses in (("random", by_chance), ("left", always_left)):
        copy = out / f"spam-{case}"
        if not copy.exists():
            shutil.copytree(home / "studio", copy / "studio")
        with at_home(copy):
            rate("spammer", chooses, SPAM_ANSWERS, seed=5)
            table = look_at(from_database(Database.open(), Files()))
        for who in ("alone", "beside"):
            names = {row.rater for row in table.rows}
            spammer = max(names, key=lambda one: sum(row.rater == one for row in table.rows))
            rows = [i for i, row in enumerate(table.rows) if who == "beside" or row.rater == spammer]
            some = table.take(rows)
            raters = check_raters(some)
            good = {one.name for one in raters if one.kept}
            kept = some.take([i for i, row in enumerate(some.rows) if row.rater in good])
            told: dict[str, Any] = {
                "raters": [
                    {"spammer": one.name == spammer, "num": one.num, "reasons": one.reasons, **one.numbers}
                    for one in raters
                ],
                "left": len(kept),
            }
            if len(kept) > 40:
                heads = fit_heads(kept)
                told["accuracy"] = str(heads.accuracy)
            # As if there were no rules for raters: what the gate alone says.
            told["accuracy_without_rules"] = str(fit_heads(some).accuracy)
            found[f"{case}, {who}"] = told
    return found


def learn(out: Path, options: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "pictura.cli", "learn", "--from-ratings", "--runs", str(out / "runs")]
    before = os.times()
    done = subprocess.run(
        [*command, "--device", "cpu", "--threads", "1", *options], text=True, capture_output=True, check=False
    )
    after = os.times()
    print(done.stdout, done.stderr[-2000:], sep="\n", flush=True)
    if done.returncode not in (0, 10):
        raise SystemExit(done.returncode)
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return {"code": done.returncode, "said": done.stdout, "cpu_s": round(spent)}


def prove(out: Path, model: str) -> dict[str, Any]:
    """Warmth of held-out prompts, before and after; prompts that nothing here ever learnt from."""
    from pictura import load
    from pictura.evaluate.metrics.bootstrap import difference_interval

    texts = held_out_prompts()
    rows = {}
    for name in ("flow", model):
        painter = load(name, device="cpu", num_threads=1)
        rows[name] = np.concatenate(
            [
                np.concatenate([warmth(seen(one.image)) for one in pictures])
                for pictures in (
                    painter.paint(text, num_images=PICTURES, seed=number, size=SIZE)
                    for number, text in enumerate(texts)
                )
            ]
        )
    labels = [text for text in texts for _ in range(PICTURES)]
    after, before = rows[model], rows["flow"]
    found = difference_interval(after, before, labels, labels, np.random.default_rng(0))
    share = difference_interval(
        (after > before).astype(float), np.full(len(after), 0.0), labels, labels, np.random.default_rng(0)
    )
    spread = float(np.mean([before[i : i + PICTURES].std() for i in range(0, len(before), PICTURES)]))
    return {
        "prompts": len(texts),
        "pictures": len(labels),
        "before": float(before.mean()),
        "after": float(after.mean()),
        "difference": [found.value, found.low, found.high],
        "share_warmer": [share.value, share.low, share.high],
        "spread_within_prompts_before": spread,
    }


def held_out_prompts() -> list[str]:
    from pictura.data.vocabulary.claims import ClaimSource
    from pictura.data.vocabulary.holdouts import Holdouts
    from pictura.data.vocabulary.world import World
    from pictura.learn.prompts import SHARE, place

    source = ClaimSource(World.load(), Holdouts.load(), seed=2026)
    asked = {prompt.text: prompt for prompt in source.prompts(0, 2000) if place(prompt) < SHARE}
    return list(asked)[:PROVED_PROMPTS]


def show(out: Path, model: str) -> dict[str, Any]:
    """The first 16 of these prompts: the base, the promoted model, and that at strength 200."""
    from pictura import load
    from pictura.train.export.samples import sample_sheet

    painters = [load("flow", device="cpu", num_threads=1)]
    painters += [load(model, device="cpu", num_threads=1, strength=strength) for strength in (100, 200)]
    sample_sheet(painters, held_out_prompts()[:16]).save(out / "grid.png", optimize=True)
    return {"prompts": 16}


@contextlib.contextmanager
def at_home(folder: Path) -> Any:
    old = os.environ["PICTURA_HOME"]
    os.environ["PICTURA_HOME"] = str(folder)
    try:
        yield
    finally:
        os.environ["PICTURA_HOME"] = old


def stage(out: Path, name: str, act: Callable[[], dict[str, Any]]) -> None:
    path = out / f"{name}.json"
    if path.exists():
        print(f"{name}: {path.read_text()}", flush=True)
        return
    started, before = time.time(), time.process_time()
    found = act()
    found |= {"wall_s": round(time.time() - started), "own_cpu_s": round(time.process_time() - before)}
    path.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{name}: {json.dumps(found)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("stages", nargs="*", default=["paint", "rate", "spam", "learn", "prove", "show"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="default", help="proved against flow")
    given, options = parser.parse_known_args()
    torch.set_num_threads(1)
    home, out = given.out / "home", given.out
    home.mkdir(parents=True, exist_ok=True)
    os.environ["PICTURA_HOME"] = str(home.resolve())
    acts: dict[str, Callable[[], dict[str, Any]]] = {
        "paint": lambda: paint(home),
        "rate": lambda: rate("honest", honest, ANSWERS, seed=3),
        "spam": lambda: spam(home, out),
        "learn": lambda: learn(out, options),
        "prove": lambda: prove(out, given.model),
        "show": lambda: show(out, given.model),
    }
    for name in given.stages:
        stage(out, name, acts[name])


if __name__ == "__main__":
    main()
