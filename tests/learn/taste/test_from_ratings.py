"""From a studio's ratings to what `default` paints, the whole way on a real database with a tiny painter."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select, update
from typer.testing import CliRunner, Result

import pictura
from pictura.api.access.accounts import add_user
from pictura.api.asking.models import Models
from pictura.cli.app import app
from pictura.engine.models import WarmModels
from pictura.jobs.queue import Queue
from pictura.jobs.values import JobRequest
from pictura.jobs.worker import Worker
from pictura.learn.taste.pairs import from_database, from_parquet
from pictura.store.database import Database
from pictura.store.files import Files
from pictura.store.models import MANIFEST, read_model, resolve
from pictura.store.promoted import read_shelf
from pictura.store.ratings import pairs
from pictura.store.ratings.choosing import answer, next_pair
from pictura.store.ratings.events import Rater, set_consent
from pictura.store.ratings.export import pairs_file
from pictura.store.tables import Image as Row
from tests.learn.loop_kit import LINES, make_root

RECIPE = """
name = "tiny"
prompts = { kind = "lines", path = "lines.txt", per_update = 8, group_size = 1 }
algorithm = { name = "backprop", highest = 0.9, kl_weight = 0.5 }
training = { num_updates = 6, learning_rate = 2e-3, warmup_updates = 1, ema_decay = 0.5, micro_batch = 8 }
held_out = { prompts = 2, seeds = 4, every = 6 }
model = { rank = 8 }
log = { sample_every = 0, checkpoint_every = 0 }
[[rewards]]
name = "preference"
"""
SIDE = 16
"""The smallest that the painter may be asked for by a person."""
Chooses = Callable[[float, random.Random], str]


def warm(image: Image.Image) -> float:
    """Red less blue."""
    array = np.asarray(image.convert("RGB"), dtype=np.float64) / 255
    return float((array[..., 0] - array[..., 2]).mean())


def likes_warm(gain: float, dice: random.Random) -> str:
    return "left" if dice.random() < 1 / (1 + np.exp(-12 * gain)) else "right"


def left(gain: float, dice: random.Random) -> str:
    return "left"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A studio with pictures that may be rated, and a worker that is warm."""

    root: Path
    database: Database
    files: Files
    queue: Queue
    worker: Worker
    owner: str

    def paint(self, prompts: list[str], model: str) -> list[str]:
        """Hashes of the models that painted."""
        jobs = self.queue.submit_all(
            [
                JobRequest(
                    num_images=4,
                    request={
                        "prompt": prompt,
                        "model": model,
                        "choices": {"seed": seed, "size": [SIDE, SIDE]},
                        "num_previews": 0,
                    },
                )
                for seed, prompt in enumerate(prompts)
            ],
            self.owner,
        )
        for job in jobs:
            while self.queue.get(job.id, None).state != "done":
                self.worker.turn()
        with self.database.write() as session:
            mine = Row.job_id.in_([job.id for job in jobs])
            session.execute(update(Row).where(mine).values(visibility="public"))  # so that others may rate
            return list(session.scalars(select(Row.model_hash).where(mine)))

    def rate(self, name: str, chooses: Chooses, num: int, *, consent: bool = True) -> None:
        user, dice, known = add_user(self.database, name, None), random.Random(1), dict[str, float]()
        set_consent(self.database, user.id, consent)
        for _ in range(num):
            asked = next_pair(self.database, self.files, Rater(user_id=user.id), rng=dice)
            for one in (asked.left, asked.right):
                if one.id not in known:
                    with Image.open(Path(self.files.url) / one.path) as opened:
                        known[one.id] = warm(opened)
            choice = chooses(known[asked.left.id] - known[asked.right.id], dice)
            answer(self.database, user.id, asked.pair.token, choice, 1500)  # type: ignore[arg-type]

    def learn(self, *options: str) -> Result:
        command = ["learn", str(self.root / "tiny.toml"), "--from-ratings", "--runs", str(self.root / "runs")]
        command += ["--device", "cpu", "--threads", "1", "--bench-prompts", "12", "--bench-images", "1"]
        command += ["--database", str(self.database.url), *options]
        return CliRunner().invoke(app, command)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as patch:
        root = make_root(tmp_path_factory.mktemp("taste"))
        home = root / "home"
        shutil.copytree(root / "painter", home / "models" / "flow")
        manifest = json.loads((home / "models" / "flow" / MANIFEST).read_text())
        (home / "models" / "flow" / MANIFEST).write_text(json.dumps({**manifest, "grids": [[SIDE, SIDE]]}))
        (root / "tiny.toml").write_text(RECIPE)
        patch.setenv("PICTURA_HOME", str(home))
        database, files = Database.open(), Files()
        queue = Queue(database, files)
        worker = Worker(queue, WarmModels(device="cpu", num_cores=1, num_calls=8))
        owner = add_user(database, "owner", None).id
        place = Place(root=root, database=database, files=files, queue=queue, worker=worker, owner=owner)
        place.paint(list(LINES), "flow")
        yield place
        database.close()


def test_from_ratings_to_what_everybody_paints_with_and_back(place: Place) -> None:
    base = resolve("flow")
    place.rate("anna", likes_warm, 80)
    place.rate("spammer", left, 25)
    place.rate("shy", likes_warm, 10, consent=False)

    done = place.learn()
    assert done.exit_code == 0, done.output
    assert "Promoted: 'default' is 'flow-rated-1' now." in done.stdout
    report = (place.root / "runs" / "flow-rated-1" / "report.md").read_text()
    assert "left out: one side: 25 of 25 answers for the left one" in report
    assert "105 all" in report, "who did not allow it was not read"

    # What was learnt is to the taste, and can be scaled down to the base.
    learnt = resolve("default")
    assert learnt.path.name == "flow-rated-1"
    painters = {name: pictura.load(name, device="cpu") for name in ("flow", "default")}
    tones = {
        name: [
            warm(one.image)
            for text in LINES
            for one in painter.paint(text, num_images=4, seed=99, size=(SIDE, SIDE))
        ]
        for name, painter in painters.items()
    }
    assert np.mean(tones["default"]) > np.mean(tones["flow"]) + 0.03
    plain = pictura.load("default", device="cpu", strength=0).paint("light fox", num_images=1, seed=1)
    assert (
        plain[0].image.tobytes()
        == painters["flow"].paint("light fox", num_images=1, seed=1)[0].image.tobytes()
    )

    # The worker that runs already paints with it at the next job; jobs for the base stay jobs for the base.
    assert Models({}).find("default").path.name == "flow-rated-1"
    assert set(place.paint(["light fox"], Models({}).find("default").path.name)) == {learnt.hash}
    assert set(place.paint(["light fox"], "flow")) == {base.hash}

    # It says what it was learnt from, and keeps nothing of what people chose.
    numbers = read_shelf().versions[0].numbers
    assert (numbers["pairs"], numbers["raters"], numbers["raters_left_out"]) == (80, 1, 1)
    assert learnt.manifest["learnt"]["ratings"]["pairs"] == 80
    card = (learnt.path / "README.md").read_text()
    assert "80 choices of 1 rater who allowed it, 80 of them between two pictures" in card
    assert "25 choices of 1 rater were left out by rule" in card
    assert not list((place.root / "runs" / "flow-rated-1").glob("ratings.*"))
    assert f"Of the change that was learnt {numbers['share']:.0%} was kept" in card
    for text in (card, json.dumps(learnt.manifest)):
        assert str(place.root) not in text, "a path of this machine"
    learnt.verify()

    back = CliRunner().invoke(app, ["models", "--rollback", "default"])
    assert back.stdout.startswith("'default' was 'flow-rated-1' and is 'flow' now.")
    assert resolve("default").hash == base.hash
    read_model(learnt.path).verify()


def test_a_spammer_alone_promotes_nothing(place: Place, tmp_path: Path) -> None:
    before = resolve("default").hash
    file = tmp_path / "ratings.parquet"
    everything = pairs(place.database)
    spam = (pair for pair in everything if pair.side == "left")
    file.write_bytes(b"".join(pairs_file(spam, lambda user: user[-6:], place.files)))
    done = place.learn("--parquet", str(file), "--name", "spam")
    assert done.exit_code == 10
    assert "Not promoted: Learning from ratings needs at least 40 choices" in done.stdout
    assert resolve("default").hash == before
    (folder,) = (place.root / "runs").glob("spam-*")
    assert not json.loads((folder / "result.json").read_text())["passed"]
    assert not (folder / "run").exists(), "it was not even learnt from"


def test_an_export_says_what_the_database_says(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "ratings.parquet"
    file.write_bytes(b"".join(pairs_file(pairs(place.database), lambda user: user, place.files)))
    exported, kept = from_parquet(file), from_database(place.database, place.files)
    assert exported.rows == kept.rows
    assert len(kept.rows) == 105
    one = kept.rows[0].better
    assert exported.read(one) == kept.read(one)
    (tmp_path / "bad.parquet").write_bytes(b"no")
    with pytest.raises(pictura.core.errors.DataError, match=r"bad\.parquet cannot be read as Parquet"):
        from_parquet(tmp_path / "bad.parquet")
