"""Scoring: what is right scores high, what is shuffled falls to chance, nothing is scored twice."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pictura.core.errors import DataError
from pictura.evaluate.benchmark import Benchmark, Prompt
from pictura.evaluate.measures import kendall_tau
from pictura.evaluate.metrics.kernel import Spread
from pictura.evaluate.painting import paint_benchmark
from pictura.evaluate.reference import Reference, blurred, shuffled
from pictura.evaluate.results import Agreement, Evaluation, Row
from pictura.evaluate.runner import Runner, Scorers, pictures_of
from pictura.evaluate.scorers import FeatureScorer, Floats, JudgeScorer, SecondHand
from pictura.evaluate.sources import PictureSet, read_folder
from pictura.store.models import read_model
from tests.evaluate.eval_kit import ColourJudge, Pooled, benchmark, few, scorers, write_folder

ASKED = benchmark()


def folder_set(folder: Path, *, noise: float = 12.0, asked: Benchmark = ASKED) -> PictureSet:
    return read_folder(write_folder(folder, asked, noise=noise), asked, images=2, seeds=1)


def real(folder: Path) -> Reference:
    """Two sets of right pictures."""
    one, two = (
        replace(pictures_of(folder_set(folder / name, noise=noise), ASKED), name=name)
        for name, noise in (("reference", 11.0), ("real pictures", 13.0))
    )
    return Reference(about="Two folders.", compared_with=one, real=two)


def evaluate(cache: Path, *sources: PictureSet, with_: Scorers | None = None, **more: object) -> Evaluation:
    runner = Runner(ASKED, with_ or scorers(), cache, **more)  # type: ignore[arg-type]
    return runner.run(sources)


def row(found: Evaluation, name: str) -> Row:
    return next(row for row in found.rows if row.name == name)


def test_right_pictures_score_1_and_shuffled_captions_fall_to_chance(tmp_path: Path) -> None:
    found = evaluate(tmp_path / "cache", folder_set(tmp_path / "right"))
    right, wrong = row(found, "right"), row(found, "right, shuffled captions")
    for judge in right.judges:
        assert judge.overall.value == 1
        assert judge.tasks.keys() == {"single", "colour"}
    assert wrong.kind == "floor"
    # Of 4 colours a quarter is right by chance; other prompts of one's own colour are drawn too.
    assert wrong.judges[0].overall.value < 0.45
    assert right.clip is not None
    assert wrong.clip is not None
    assert right.clip.score.low > wrong.clip.score.high


def test_shuffling_gives_no_prompt_its_own_pictures(tmp_path: Path) -> None:
    pictures = pictures_of(folder_set(tmp_path), ASKED)
    mixed = shuffled(pictures)
    assert all(one != other for one, other in zip(pictures.prompts, mixed.prompts, strict=True))
    assert sorted(p.id for p in mixed.prompts) == sorted(p.id for p in pictures.prompts)


def test_the_overall_score_is_the_mean_of_the_tasks_however_many_prompts_they_have(tmp_path: Path) -> None:
    prompts = [p for p in ASKED.prompts if p.task == "single" or "red" in p.text or "blue" in p.text]
    asked = Benchmark(name="glyphbench", prompts=tuple(prompts), total=len(prompts))
    folder = write_folder(tmp_path / "half", asked)
    blue = next(folder.glob("a-blue-fox-1.png")).read_bytes()
    for path in folder.glob("the-red-*"):
        path.write_bytes(blue)
    source = read_folder(folder, asked, images=2, seeds=1)
    judge = Runner(asked, scorers(), tmp_path / "cache").run([source]).rows[0].judges[0]
    assert (judge.tasks["single"].value, judge.tasks["colour"].value) == (1, 0.5)
    assert judge.overall.value == pytest.approx(0.75)
    assert judge.overall.low < 0.75 < judge.overall.high
    assert judge.per_seed == (0.75,)


def test_a_folder_scores_as_the_model_that_painted_it(tiny_home: Path, tmp_path: Path) -> None:
    asked = few(2)
    model = read_model(tiny_home / "models" / "tiny")
    painted = paint_benchmark(model, asked, tmp_path / "p", images=2, seeds=2, device="cpu", processes=1)
    copied = read_folder(next((tmp_path / "p").iterdir()), asked, images=2, seeds=2)
    found = Runner(asked, scorers(), tmp_path / "cache").run([painted, copied])
    first, second = found.compared
    assert (first.kind, second.kind) == ("model", "folder")
    assert (first.judges, first.clip, first.likeness) == (second.judges, second.clip, second.likeness)
    assert first.model_hash == model.hash
    assert len(first.judges[0].per_seed) == 2


def test_an_evaluation_again_looks_at_nothing(tmp_path: Path) -> None:
    source = folder_set(tmp_path / "right")
    first, again = scorers(), scorers()
    one = evaluate(tmp_path / "cache", source, with_=first)
    two = evaluate(tmp_path / "cache", source, with_=again)
    seen = [judge.judge for judge in again.judges]
    assert all(isinstance(judge, ColourJudge) and judge.num_seen == 0 for judge in seen)
    assert [replace(r, scoring=None) for r in one.rows] == [replace(r, scoring=None) for r in two.rows]


def test_a_changed_picture_or_judge_is_scored_anew(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "right", ASKED)
    source = read_folder(folder, ASKED, images=2, seeds=1)
    evaluate(tmp_path / "cache", source)
    strict = replace(scorers(), judges=scorers().judges[:1])
    (folder / "a-red-fox-1.png").write_bytes((folder / "a-blue-fox-1.png").read_bytes())
    changed = read_folder(folder, ASKED, images=2, seeds=1)
    assert changed.hash != source.hash
    assert row(evaluate(tmp_path / "cache", changed, with_=strict), "right").judges[0].overall.value < 1


def test_real_pictures_are_the_ceiling_and_worse_ones_are_farther(tmp_path: Path) -> None:
    reference = real(tmp_path)
    noisy = folder_set(tmp_path / "noisy", noise=60.0)
    found = evaluate(tmp_path / "cache", noisy, reference=reference)
    ceiling = row(found, "real pictures")
    assert ceiling.kind == "ceiling"
    names = [r.name for r in found.rows]
    assert names[2:] == [
        "real pictures",
        "real pictures, blurred, radius 1",
        "real pictures, blurred, radius 2",
        "real pictures, blurred, radius 4",
        "real pictures, from 32 pixels",
        "real pictures, from 16 pixels",
        "real pictures, shuffled captions",
    ]
    mine, best = found.rows[0].likeness[0], ceiling.likeness[0]
    assert mine.fd is not None
    assert best.fd is not None
    assert mine.fd > best.fd
    assert mine.memorisation is not None
    assert mine.nearest
    assert found.reference == {"about": "Two folders.", "hash": reference.compared_with.hash}
    assert not any("--reference" in note for note in found.left_out)


def test_without_a_reference_the_report_says_what_is_missing(tmp_path: Path) -> None:
    found = evaluate(tmp_path / "cache", folder_set(tmp_path / "right"))
    assert found.rows[0].likeness[0].fd is None
    assert found.rows[0].likeness[0].diversity is not None
    assert any("Without --reference there is no FD-local" in note for note in found.left_out)
    assert any("R-precision needs 100" in note for note in found.left_out)


def test_captions_without_claims_are_not_judged(tmp_path: Path) -> None:
    asked = Benchmark(name="captions", prompts=tuple(replace(p, claim=None) for p in ASKED.prompts), total=24)
    found = Runner(asked, scorers(), tmp_path / "cache").run([folder_set(tmp_path / "right", asked=asked)])
    assert found.rows[0].judges == ()
    assert found.rows[0].headline == (found.rows[0].clip and found.rows[0].clip.score)
    assert any("No judge looked" in note for note in found.left_out)


def test_nets_that_differ_by_a_factor_agree_on_the_order(tmp_path: Path) -> None:
    sources = [folder_set(tmp_path / name, noise=n) for name, n in (("far", 70.0), ("near", 14.0))]
    found = evaluate(tmp_path / "cache", *sources, reference=real(tmp_path))
    ranking = found.rankings[0]
    assert ranking.orders == {"pooled": ("near", "far"), "pooled-twice": ("near", "far")}
    assert ranking.agree
    assert ranking.tau == {"pooled and pooled-twice": 1.0}


def test_two_sets_of_one_name_are_told_apart(tmp_path: Path) -> None:
    sources = [folder_set(tmp_path / place / "same", noise=n) for place, n in (("a", 5.0), ("b", 9.0))]
    names = [r.name for r in evaluate(tmp_path / "cache", *sources).compared]
    assert names == [f"same {source.hash[:6]}" for source in sources]


def test_features_that_are_no_numbers_are_refused_and_the_picture_named(tmp_path: Path) -> None:
    class Broken(Pooled):
        def __call__(self, images: Floats) -> Floats:
            features = super().__call__(images)
            features[5, 0] = np.nan
            return features

    base = scorers()
    broken = replace(base, nets=(FeatureScorer(Broken("broken")),))
    words = r"features that 'broken' gives for .*a-red-apple-2\.png are not finite"
    with pytest.raises(DataError, match=words):
        evaluate(tmp_path / "cache", folder_set(tmp_path / "right"), with_=broken)


def test_standard_metrics_are_asked_with_the_reference_and_the_captions(tmp_path: Path) -> None:
    def standard(reference: Floats, images: Floats, captions: object) -> dict[str, Spread]:
        assert isinstance(captions, list)
        assert len(captions) == len(images) == len(reference)
        return {"FID[injected]": Spread(mean=float(abs(reference - images).mean()), std=0.0)}

    with_ = replace(scorers(), standard=standard)
    found = evaluate(tmp_path / "c", folder_set(tmp_path / "right"), with_=with_, reference=real(tmp_path))
    assert found.rows[0].standard is not None
    assert found.rows[0].standard["FID[injected]"][0] > 0


def test_results_are_json_with_a_schema_and_everything_to_repeat_them(tmp_path: Path) -> None:
    found = evaluate(tmp_path / "cache", folder_set(tmp_path / "right"))
    said = json.loads(found.save(tmp_path).read_text())
    assert said["schema"] == 1
    assert said["benchmark"]["hash"] == ASKED.hash
    assert (said["images"], said["seeds"]) == (2, 1)
    assert said["rows"][0]["agreement"]["share"] == 1
    assert said["rows"][0]["agreement"]["kappa"] is None  # both accept all: chance agrees as well
    assert {"seconds", "pictures_per_s", "judges_pictures_per_s"} == said["rows"][0]["scoring"].keys()
    assert {"date", "commit", "version", "machine", "seconds"} <= said.keys()


def test_kappa_is_that_of_the_textbook() -> None:
    found = Agreement(first="a", second="b", both=20, only_first=5, only_second=10, neither=15)
    assert found.share == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)


@pytest.mark.parametrize(("order", "tau"), [("abcd", 1), ("dcba", -1), ("bacd", 2 / 3)])
def test_tau_counts_pairs_in_the_same_order(order: str, tau: float) -> None:
    assert kendall_tau("abcd", order) == pytest.approx(tau)


def test_a_blurred_set_has_a_hash_of_its_own(tmp_path: Path) -> None:
    pictures = pictures_of(folder_set(tmp_path, noise=40.0), ASKED)
    soft = blurred(pictures, 2)
    assert soft.hash != pictures.hash != blurred(pictures, 1).hash
    assert soft.load().std() < pictures.load().std()


def test_a_judge_s_verdicts_and_its_features_cost_one_look(tmp_path: Path) -> None:
    source = folder_set(tmp_path / "right")
    alone = scorers()
    evaluate(tmp_path / "alone", source, with_=alone)
    both = scorers()
    with_features = replace(both, nets=(*both.nets, SecondHand(both.judges[-1])))
    found = evaluate(tmp_path / "both", source, with_=with_features)
    first, second = (each.judges[-1].judge for each in (alone, both))
    assert isinstance(first, ColourJudge)
    assert isinstance(second, ColourJudge)
    assert first.num_seen == second.num_seen > 0
    assert found.compared[0].likeness[-1].net == "judge-b"


def test_what_a_judge_saw_is_read_without_claims_too(tmp_path: Path) -> None:
    judge = JudgeScorer(ColourJudge())
    images = np.random.default_rng(0).random((2, 3, 64, 64), dtype=np.float32)
    free = [Prompt(id="1", task="captions", text="a red fox", claim=None)] * 2
    assert list(judge(images, free)) == ["features"]
    claimed = judge(images, ASKED.prompts[:2])
    assert sorted(claimed) == ["accepts", "features"]
    assert (claimed["features"] == judge(images, free)["features"]).all()
