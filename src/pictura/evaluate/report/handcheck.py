"""Pictures drawn at random for a person to check the judges: a page with buttons, and sheets to print.

The page hides the verdicts until one asks for them; `blind-*.png` never shows them, `sheet-*.png` does.
`hand-check.json` lists what every number on the sheets is.
"""

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from textwrap import wrap

from PIL import Image, ImageDraw, ImageFont

from pictura.core.errors import ConfigError
from pictura.data import guard
from pictura.evaluate.report import html
from pictura.evaluate.report.exhibits import Exhibit, draw_evenly, exhibit
from pictura.evaluate.runner import Scored
from pictura.evaluate.scorers import JudgeScorer
from pictura.store.atomic import atomic_file

PAGE = "hand-check.html"
_COLUMNS, _ROWS, _SIDE, _WORDS = 8, 5, 128, 58
_YES, _NO = "#1f9d72", "#d9622b"


def write_hand_check(
    scored: Sequence[Scored], judges: Sequence[JudgeScorer], folder: Path, *, num: int, seed: int = 0
) -> Path:
    """Write the page, its sheets and its list.

    Args:
        scored: sets to draw from, equally many pictures of every set and task.
        judges: that said what is to be checked.
        folder: to write into.
        num: how many pictures.
        seed: of the draw.

    Raises:
        ConfigError: no judge looked at the pictures.
        StorageError: a file cannot be written.
    """
    if not scored or not all(one.verdicts for one in scored):
        raise ConfigError("--hand-check needs verdicts of judges; choose --on glyphbench.")
    drawn = draw_evenly(scored, num, seed=seed)
    by_set = {
        place: iter(exhibit(scored[place], [i for p, i in drawn if p == place], judges))
        for place in dict.fromkeys(place for place, _ in drawn)
    }
    shown = [next(by_set[place]) for place, _ in drawn]
    per_sheet = _COLUMNS * _ROWS
    for number, start in enumerate(range(0, len(shown), per_sheet), start=1):
        some = shown[start : start + per_sheet]
        for name, tell in (("sheet", True), ("blind", False)):
            with atomic_file(folder / f"{name}-{number:02d}.png") as temporary:
                _sheet(some, start + 1, tell=tell).save(temporary, "PNG", optimize=True)
    _write(folder / "hand-check.json", json.dumps(_listed(shown, folder), indent=1) + "\n")
    _write(folder / PAGE, _page(shown))
    return folder / PAGE


def _listed(shown: Sequence[Exhibit], folder: Path) -> list[dict[str, object]]:
    return [
        {
            "number": number,
            "set": one.source,
            "file": str(one.path.relative_to(folder) if one.path.is_relative_to(folder) else one.path.name),
            "task": one.prompt.task,
            "prompt": one.prompt.text,
            "verdicts": dict(one.verdicts),
            "saw": dict(one.saw),
        }
        for number, one in enumerate(shown, start=1)
    ]


def _page(shown: Sequence[Exhibit]) -> str:
    figures = []
    for number, one in enumerate(shown, start=1):
        said = " · ".join(f"{name} {'right' if yes else 'wrong'}" for name, yes in one.verdicts.items())
        caption = (
            f"<b>{number}</b> {escape(one.prompt.text)}<br><span class='said'>{escape(said)}</span><br>"
            "<button data-says='1'>right</button> <button data-says='0'>wrong</button>"
        )
        figures.append(html.picture(one, caption))
    names = list(shown[0].verdicts)
    verdicts = [[int(one.verdicts[name]) for name in names] for one in shown]
    script = (files("pictura.evaluate.report") / "handcheck.js").read_text(encoding="utf-8")
    body = (
        f"<h1>Check the judges by hand</h1><p>{len(shown)} pictures, drawn at random, equally many of every "
        f"task. Does each show what stands under it? {html.LEGEND}</p><div id='tally'><span></span> "
        "<button id='show' aria-pressed='false'>show verdicts</button> "
        "<button id='copy'>copy answers</button>"
        "</div><div class='pictures hidden' "
        f"style='grid-template-columns:repeat(auto-fill,minmax(140px,1fr))'>{''.join(figures)}</div>"
    )
    data = f"const judges = {json.dumps(names)}, verdicts = {json.dumps(verdicts)};\n"
    return html.page("Hand check", body, script=data.replace("</", "<\\/") + script)


def _sheet(shown: Sequence[Exhibit], first: int, *, tell: bool) -> Image.Image:
    """One contact sheet; `tell` writes the verdicts and frames pictures in their colours."""
    gap, width = 12, _SIDE + 12
    rows = -(-len(shown) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * width + gap, rows * (_SIDE + _WORDS + gap) + gap), "white")
    draw = ImageDraw.Draw(sheet)
    small, bold = ImageFont.load_default(size=11), ImageFont.load_default(size=13)
    for place, one in enumerate(shown):
        x, y = gap + place % _COLUMNS * width, gap + place // _COLUMNS * (_SIDE + _WORDS + gap)
        if tell:
            colours = [_YES if verdict else _NO for verdict in one.verdicts.values()]
            draw.rectangle((x - 4, y - 4, x + _SIDE // 2, y + _SIDE + 3), fill=colours[0])
            draw.rectangle((x + _SIDE // 2, y - 4, x + _SIDE + 3, y + _SIDE + 3), fill=colours[-1])
        sheet.paste(_on_grey(one.path), (x, y))
        draw.text((x, y + _SIDE + 4), str(first + place), fill="black", font=bold)
        if tell:
            said = "   ".join(
                f"{name[-1].upper()}: {'yes' if v else 'no'}" for name, v in one.verdicts.items()
            )
            draw.text((x + 32, y + _SIDE + 5), said, fill="#555", font=small)
        draw.text((x, y + _SIDE + 20), "\n".join(wrap(one.prompt.text, 21)[:3]), fill="black", font=small)
    return sheet


def _on_grey(path: Path) -> Image.Image:
    image = guard.decode(guard.read_file(path), str(path)).convert("RGBA")
    grey = Image.new("RGBA", image.size, (204, 204, 204, 255))
    laid = Image.alpha_composite(grey, image).convert("RGB")
    return laid.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
