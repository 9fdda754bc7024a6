"""Small pieces of HTML for reports: everything that a page shows lies inside its one file."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

from PIL import Image


def page(title: str, body: str, *, style: str = "", script: str = "") -> str:
    """A whole document.

    Args:
        title: plain text.
        body: HTML.
        style: CSS beside that of all reports.
        script: JavaScript, run at the end.
    """
    look = (files("pictura.core") / "style.css").read_text(encoding="utf-8") + style
    end = f"<script>{script}</script>" if script else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>\n<style>{look}</style></head>\n<body>\n{body}\n{end}</body></html>\n"
    )


def figure(image: Image.Image, alt: str, *, title: str = "", kind: str = "", caption: str = "") -> str:
    """A picture.

    Args:
        image: shown as it is.
        alt: what it shows, plain text.
        title: plain text that appears where one points at it; `alt` if none is given.
        kind: classes of the picture.
        caption: HTML below it.
    """
    under = f"<figcaption>{caption}</figcaption>" if caption else ""
    mark = f' class="{kind}"' if kind else ""
    return (
        f'<figure><img{mark} alt="{escape(alt)}" title="{escape(title or alt)}" src="{data_url(image)}">'
        f"{under}</figure>"
    )


def data_url(image: Image.Image) -> str:
    """A picture as an address that holds it."""
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


def number(value: float | None, digits: int = 3, *, best: bool = False) -> str:
    """A cell with a number of so many digits that count."""
    if value is None:
        return cell("–")
    return cell(f"{value:.{digits}g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}", best=best)
