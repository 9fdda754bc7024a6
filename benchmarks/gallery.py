"""Gallery search over many pictures of one user: milliseconds a page, on SQLite and on PostgreSQL.

    python -m benchmarks.gallery [--rows 100000] [--postgres] [--write]

Rows are made: prompts of a few hundred words of very different frequency, no picture files. Each search is
what `GET /images` runs, its whole page of 50 pictures read. PostgreSQL is a server of its own in a temporary
folder (needs Debian's `postgresql`).
"""

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg
from sqlalchemy import insert, text

from benchmarks.report import machine, table, write_section
from pictura.store.database import Database
from pictura.store.search import Wanted, find, words_of
from pictura.store.tables import PLACES, Image, Job, Opinion, User, new_id

ROUNDS = 30
A_JOB = 4
MODELS = ("flow", "unclip", "dalle", "attngan", "stackgan")
COLOURS = ("red", "blue", "green", "yellow", "black", "white")


def words(count: int = 800) -> list[str]:
    """Made words, the first very common, the last very rare."""
    rng = random.Random(0)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    return ["".join(rng.choices(syllables, k=rng.randint(2, 4))) for _ in range(count)]


def fill(database: Database, rows: int) -> tuple[str, list[str]]:
    """Make a user with so many pictures; their id, and the made words."""
    rng, vocabulary = random.Random(1), words()
    frequency = 1 / np.arange(1, len(vocabulary) + 1)
    with database.write() as session:
        user = User(name="ann")
        session.add(user)
        session.flush()
        last = ""
        for start in range(0, rows // A_JOB, 2500):
            jobs, images, liked = [], [], []
            for number in range(start + 1, start + 2501):
                last = new_id(after=last)
                said = rng.choices(vocabulary, weights=list(frequency), k=6)
                prompt = f"a {rng.choice(COLOURS)} {' '.join(said)}"
                model, seed = rng.choice(MODELS), rng.randrange(2**32)
                side, made = rng.choice((64, 128, 256)), 1.7e9 + 60 * number
                jobs.append(_job(last, number, user.id, prompt, model, made))
                for index in range(A_JOB):
                    images.append(_image(last, number, index, user.id, prompt, model, seed, side, made))
                    if rng.random() < 0.02:
                        liked.append({"user_id": user.id, "image_id": images[-1]["id"], "rating": "like"})
            for kind, found in ((Job, jobs), (Image, images), (Opinion, liked)):
                session.execute(insert(kind), found)
    _settle(database)
    return user.id, vocabulary


def _settle(database: Database) -> None:
    """What SQLite needs nobody to do, and PostgreSQL does by itself after a while."""
    if not database.on_sqlite:
        with psycopg.connect(str(database.url.set(drivername="postgresql")), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")


def _job(id_: str, number: int, user: str, prompt: str, model: str, at: float) -> dict[str, object]:
    return {
        "id": id_,
        "number": number,
        "user_id": user,
        "lane": "fast",
        "state": "done",
        "kind": "imagine",
        "request": {"prompt": prompt, "model": model},
        "num_images": A_JOB,
        "max_attempts": 3,
        "attempt": 1,
        "cancel_asked": False,
        "part": 0,
        "created_at": at,
    }


def _image(
    job: str, number: int, index: int, user: str, prompt: str, model: str, seed: int, side: int, at: float
) -> dict[str, object]:
    sha256 = f"{number * A_JOB + index:064x}"
    settings = {
        "num_steps": 28,
        "guidance_scale": 4.5,
        "solver": "heun",
        "size": [side, side],
        "said": "x" * 300,
    }
    return {
        "id": f"{job}-{index}",
        "job_id": job,
        "index": index,
        "sha256": sha256,
        "path": f"{sha256[:2]}/{sha256}.png",
        "thumb_path": f"thumbs/{sha256[:2]}/{sha256}.webp",
        "width": side,
        "height": side,
        "num_bytes": 9000,
        "details": {"prompt": prompt, "seed": seed, "index": index, "model": model, "settings": settings},
        "created_at": at,
        "visibility": "public" if number % 20 == 0 else "private",
        "user_id": user,
        "place": number * PLACES + PLACES - 1 - index,
        "prompt": prompt,
        "search": " ".join(words_of(prompt)),
        "model": model,
        "model_hash": f"{len(model):064x}",
        "kind": "vary" if number % 10 == 0 else "imagine",
        "seed": seed,
    }


def searches(user: str, vocabulary: list[str], seed: int) -> dict[str, Wanted]:
    """What is asked, from the easy to the hard."""
    common, rare, rarest = vocabulary[0], vocabulary[100], vocabulary[-1]
    return {
        "no filter": Wanted(user_id=user),
        "a word that most pictures have": Wanted(user_id=user, words=common),
        "a word of one in a hundred": Wanted(user_id=user, words=rare),
        "a word that hardly any has": Wanted(user_id=user, words=rarest),
        "no such word": Wanted(user_id=user, words="unheard"),
        "the beginning of many words": Wanted(user_id=user, words=common[:3]),
        "two words": Wanted(user_id=user, words=f"red {rare}"),
        "a phrase of two common words": Wanted(user_id=user, words=f'"{common} {vocabulary[1]}"'),
        "a common word, one model": Wanted(user_id=user, words=common, model="dalle"),
        "a common word, no such width": Wanted(user_id=user, words=common, min_width=512),
        "a common word, a seed": Wanted(user_id=user, words="red", seed=seed),
        "a common word, liked": Wanted(user_id=user, words=common, liked_by=user),
        "a common word, public, of anybody": Wanted(public=True, words=common),
        "a word, model, kind, dates, width": Wanted(
            user_id=user, words=rare, model="flow", kind="vary", since=1.7e9, until=1.7009e9, min_width=128
        ),
        "one model": Wanted(user_id=user, model="unclip"),
        "liked": Wanted(user_id=user, liked_by=user),
        "no such width": Wanted(user_id=user, min_width=512),
        "the oldest by date": Wanted(user_id=user, until=1.7e9 + 600),
        "a seed": Wanted(user_id=user, seed=seed),
        "children of a picture": Wanted(user_id=user, parent="a-0"),
    }


@dataclass(frozen=True)
class Measured:
    """Milliseconds of one search, and how many pictures its page had."""

    p50: float
    p95: float
    cpu: float
    """Of this process; SQLite has no other."""
    pictures: int


def measure(database: Database, rows: int) -> dict[str, Measured]:
    """Run every search."""
    user, vocabulary = fill(database, rows)
    with database.read() as session:
        seed = session.scalar(text(f"SELECT seed FROM images WHERE place >= {PLACES * rows // A_JOB // 2}"))
    found = dict[str, Measured]()
    for name, wanted in searches(user, vocabulary, int(seed)).items():
        times, spent, images = list[float](), list[float](), list[Image]()
        for _ in range(ROUNDS):
            start, began = time.perf_counter(), time.process_time()
            images, _ = find(database, wanted, limit=50)
            times.append(1000 * (time.perf_counter() - start))
            spent.append(1000 * (time.process_time() - began))
        p50, p95 = (float(value) for value in np.percentile(times, (50, 95)))
        found[name] = Measured(p50, p95, float(np.median(spent)), len(images))
        print(f"{database.url.drivername:20} {name:40} {found[name]}")
    return found


@contextlib.contextmanager
def opened(url: str) -> Iterator[Database]:
    """A database for the block."""
    database = Database.open(url)
    try:
        yield database
    finally:
        database.close()


def main(rows: int, *, postgres: bool, write: bool) -> None:
    """Measure, print, and write if asked."""
    with tempfile.TemporaryDirectory() as folder, opened(f"sqlite:///{Path(folder) / 'db'}") as database:
        found = {"SQLite": measure(database, rows)}
    if postgres:
        from tests.postgres import server

        with server() as url, opened(url) as database:
            found["PostgreSQL"] = measure(database, rows)
    sqlite = found["SQLite"]
    head = ["search", *(f"{name}, p50 / p95 ms" for name in found), "SQLite, CPU ms", "pictures"]
    lines = [
        [
            name,
            *(f"{of[name].p50:.1f} / {of[name].p95:.1f}" for of in found.values()),
            f"{one.cpu:.1f}",
            one.pictures,
        ]
        for name, one in sqlite.items()
    ]
    print(table(head, lines))
    if write:
        worst = max(one.p95 for of in found.values() for one in of.values())
        said = (
            f"A page of 50 among {rows:,} pictures of one user (`benchmarks/gallery.py`; made rows, no "
            f"files), {ROUNDS} times each; the slowest 95th percentile is {worst:.0f} ms. CPU is the median "
            f"of what the process itself computed, whatever else the machine did. {machine()}."
        )
        write_section("Searching the gallery", f"{said}\n\n{table(head, lines)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--postgres", action="store_true", help="also on a PostgreSQL server of its own")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    given = parser.parse_args(sys.argv[1:])
    main(given.rows, postgres=given.postgres, write=given.write)
