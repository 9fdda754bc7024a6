"""Pieces of HTML about verdicts, beside those of `core/html.py`."""

from importlib.resources import files

from PIL import Image

from pictura.core.html import cell, figure
from pictura.core.html import page as plain_page
from pictura.data import guard
from pictura.evaluate.metrics.bootstrap import Interval
from pictura.evaluate.report.exhibits import Exhibit

LEGEND = (
    "A picture's frame is the verdict: left and top of the first judge, right and bottom of the second, "
    '<span class="key" style="background:var(--yes)"></span>right '
    '<span class="key" style="background:var(--no)"></span>wrong. Point at a picture to read what they saw.'
)
_MOST_SIDE = 128


def page(title: str, body: str, *, script: str = "") -> str:
    """A whole document that may show verdicts."""
    style = (files("pictura.evaluate.report") / "style.css").read_text(encoding="utf-8")
    return plain_page(title, body, style=style, script=script)


def picture(shown: Exhibit, caption: str = "") -> str:
    """A picture in the frame of its verdicts; `caption` is HTML."""
    marks = " ".join(
        f"{letter}{int(verdict)}" for letter, verdict in zip("ab", shown.verdicts.values(), strict=False)
    )
    image = guard.decode(guard.read_file(shown.path), str(shown.path))
    image.thumbnail((_MOST_SIDE, _MOST_SIDE), Image.Resampling.LANCZOS)
    return figure(image, shown.prompt.text, title=tooltip(shown), kind=marks, caption=caption)


def tooltip(shown: Exhibit) -> str:
    """The prompt, and what every judge saw and said."""
    lines = [shown.prompt.text]
    for name, verdict in shown.verdicts.items():
        word = "right" if verdict else "wrong"
        lines.append(f"{name}: {word} ({shown.confidence[name]:.2f}). It saw: {shown.saw[name] or 'nothing'}")
    return "\n".join(lines)


def share(interval: Interval | None, *, best: bool = False) -> str:
    """A cell with a share, its interval and a bar as long as it."""
    if interval is None:
        return cell("–")
    text = f"{interval.value:.3f} <i>{interval.low:.2f}–{interval.high:.2f}</i>"
    return f'<td class="share{" best" if best else ""}" style="--v:{100 * interval.value:.1f}%">{text}</td>'
