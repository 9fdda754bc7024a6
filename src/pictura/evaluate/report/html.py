"""Small pieces of HTML: everything that a report shows lies inside its one file."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

from PIL import Image

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
    """A whole document."""
    style = (files("pictura.evaluate.report") / "style.css").read_text(encoding="utf-8")
    end = f"<script>{script}</script>" if script else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>\n<style>{style}</style></head>\n<body>\n{body}\n{end}</body></html>\n"
    )


def picture(shown: Exhibit, caption: str = "") -> str:
    """A picture in the frame of its verdicts; `caption` is HTML."""
    marks = " ".join(
        f"{letter}{int(verdict)}" for letter, verdict in zip("ab", shown.verdicts.values(), strict=False)
    )
    under = f"<figcaption>{caption}</figcaption>" if caption else ""
    return (
        f'<figure><img class="{marks}" alt="{escape(shown.prompt.text)}" title="{escape(tooltip(shown))}" '
        f'src="{data_url(shown)}">{under}</figure>'
    )


def tooltip(shown: Exhibit) -> str:
    """The prompt, and what every judge saw and said."""
    lines = [shown.prompt.text]
    for name, verdict in shown.verdicts.items():
        word = "right" if verdict else "wrong"
        lines.append(f"{name}: {word} ({shown.confidence[name]:.2f}). It saw: {shown.saw[name] or 'nothing'}")
    return "\n".join(lines)


def data_url(shown: Exhibit) -> str:
    """The picture itself as an address, at most 128 pixels a side."""
    image = guard.decode(guard.read_file(shown.path), str(shown.path))
    image.thumbnail((_MOST_SIDE, _MOST_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=92)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def table(head: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """A table; each row is (its class, cells that are whole ``<td>``)."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "\n".join(f'<tr class="{kind}">{"".join(cells)}</tr>' for kind, cells in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def cell(text: str, *, best: bool = False) -> str:
    """A plain cell; `text` is HTML."""
    return f'<td class="best">{text}</td>' if best else f"<td>{text}</td>"


def share(interval: Interval | None, *, best: bool = False) -> str:
    """A cell with a share, its interval and a bar as long as it."""
    if interval is None:
        return cell("–")
    text = f"{interval.value:.3f} <i>{interval.low:.2f}–{interval.high:.2f}</i>"
    return f'<td class="share{" best" if best else ""}" style="--v:{100 * interval.value:.1f}%">{text}</td>'


def number(value: float | None, digits: int = 3, *, best: bool = False) -> str:
    """A cell with a number of so many digits that count."""
    if value is None:
        return cell("–")
    return cell(f"{value:.{digits}g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}", best=best)
