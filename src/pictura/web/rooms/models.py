"""The models: what can paint here, what each is good for, and what was learnt from ratings."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pictura.web.frame import parts
from pictura.web.frame.here import Here
from pictura.web.frame.parts import Tag
from pictura.web.told import Image, Model
from pictura.web.wire import ApiError

FAMILIES: Mapping[str, str] = {
    "flow": "Flow matching: paints in steps, from noise to picture.",
    "unclip": "unCLIP: imagines the picture as a whole first, then paints it.",
    "dalle": "By tokens: writes the picture piece by piece.",
    "stackgan": "Adversarial, in two stages: one pass, very quick.",
    "attngan": "Adversarial, with attention to words: one pass, very quick.",
}
_SAMPLING: Mapping[str, str] = {
    "solver": "Solver",
    "num_steps": "Steps",
    "guidance_scale": "Guidance",
    "temperature": "Temperature",
    "top_k": "Top k",
    "candidates": "Candidates",
}
_NUM_SHOWN = 4


async def show(here: Here) -> None:
    """Build the page."""
    parts.heading("Models", "What can paint here. A prompt chooses one by --model NAME.")
    models: list[Model] = []
    with here.telling():
        models = await here.api.models()
    learning = await _learning(here)
    if learning:
        _show_learning(learning)
    with Tag("div", classes="cards"):
        for model in sorted(models, key=lambda one: not one.is_default):
            _card(model, await _newest(here, model))


async def _learning(here: Here) -> Mapping[str, Any]:
    """What was learnt from ratings; nothing where the studio does not tell of it."""
    try:
        return await here.api.learning()
    except ApiError as error:
        if error.http_status == 404:
            return {}
        here.trouble.say(error.sentence)
        return {}


async def _newest(here: Here, model: Model) -> list[Image]:
    with here.telling():
        return list((await here.api.images(model=model.name, limit=_NUM_SHOWN)).items)
    return []


def _card(model: Model, images: list[Image]) -> None:
    with Tag("article", classes="card model", aria_label=f"Model {model.name}"):
        with Tag("div", classes="model-grid" if images else "model-grid none"):
            for image in images:
                parts.tile(image)
            if not images:
                parts.icon("image")
                Tag("span", "Nothing painted with it yet", "soft small")
        with Tag("div", classes="model-text"):
            with Tag("div", classes="row"):
                Tag("h2", model.name)
                if model.is_default:
                    Tag("span", "Default", "chip")
            Tag("p", FAMILIES.get(model.family, model.family), "soft")
            _facts(model)
            if model.metrics:
                _metrics(model)


def _facts(model: Model) -> None:
    with Tag("dl", classes="facts"):
        _fact("Licence", model.licence or "not told")
        _fact("Size", f"{model.size_mb:,.0f} MB" if model.size_mb >= 1 else f"{1000 * model.size_mb:,.0f} KB")
        _fact("Transparent", "yes" if model.transparent else "no")
        for name, label in _SAMPLING.items():
            if model.sampling.get(name) not in (None, 1):  # one step, and a guidance of 1, are none
                _fact(label, _short(model.sampling[name]).replace("_", " "))


def _metrics(model: Model) -> None:
    """How well it does what prompts say, task by task; the other numbers are of its file."""
    bench = model.metrics.get("glyphbench")
    if not isinstance(bench, Mapping) or "overall" not in bench:
        return
    with Tag("details", classes="more"):
        with Tag("summary"):
            Tag("span", "GlyphBench ")
            Tag("strong", _short(bench["overall"]), "numbers")
            if bench.get("interval"):
                Tag("span", f" ({_short(bench['interval'])})", "soft numbers")
        with Tag("dl", classes="tasks numbers"):
            for name, value in (bench.get("tasks") or {}).items():
                Tag("dt", name)
                with Tag("dd"):
                    Tag("meter", value=value, min=0, max=1, aria_label=name)
                    Tag("span", f"{value:.2f}")
        Tag("p", "The share of pictures in which a judge finds what the prompt names.", "soft small")


def _show_learning(told: Mapping[str, Any]) -> None:
    """The versions that were learnt from ratings."""
    versions = told.get("versions") or []
    with Tag("section", classes="card learnt", aria_label="Learnt from ratings"):
        Tag("h2", "Learnt from ratings")
        if not versions:
            Tag(
                "p",
                "Nothing yet: no version that learnt from ratings was promoted. Rank pairs, allow learning "
                "in the settings, then run pictura learn --from-ratings.",
                "soft",
            )
            return
        Tag("p", f"Prompts that name no model are painted by {told.get('default', 'the default')}.", "soft")
        with Tag("ul", classes="versions"):
            for version in versions:
                _version(version)


def _version(version: Mapping[str, Any]) -> None:
    with Tag("li", classes="version"):
        with Tag("div", classes="row"):
            Tag("h3", str(version.get("name", "")))
            if version.get("is_default"):
                Tag("span", "Paints now", "chip")
            at = version.get("promoted_at")
            if isinstance(at, int | float):
                date = datetime.datetime.fromtimestamp(at, datetime.UTC)
                Tag("span", f"{date:%d %b %Y}", "soft small")
        with Tag("dl", classes="facts numbers"):
            for name, value in what_was_learnt(version.get("numbers") or {}):
                _fact(name, value)


def what_was_learnt(numbers: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a version was learnt from and how it was tested, in words; what is not told is left out."""
    bench = numbers.get("glyphbench") or {}
    if {"pairs", "prompts", "raters"} <= numbers.keys():
        yield "Choices", "{pairs} about {prompts} prompts, people: {raters}".format(**numbers)
    if numbers.get("left_out") or numbers.get("raters_left_out"):
        yield "Left out", "{left_out} choices, people: {raters_left_out}".format(**numbers)
    for name, label in (("accuracy", "Held-out choices told right"), ("wins", "New pictures preferred")):
        if numbers.get(name):
            yield label, _interval(numbers[name])
    if bench:
        yield "GlyphBench", "{before:.3f} before, {after:.3f} after".format(**bench)
        yield "Its difference", f"{_interval(bench['difference'])}, {bench['num_prompts']} prompts"
    if "diversity" in numbers:
        yield "Diversity", f"{numbers['diversity']:.2f} of the base's"


def _interval(numbers: Sequence[float]) -> str:
    """A value and the ends of its interval."""
    value, low, high = numbers
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _fact(name: str, value: str) -> None:
    with Tag("div"):
        Tag("dt", name)
        Tag("dd", value)


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, list):
        return " to ".join(_short(one) for one in value)
    return str(value)
