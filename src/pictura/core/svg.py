"""Plots as inline SVG: a matplotlib figure in, text without files, networks and fixed colours out.

Such a plot is readable on light and on dark pages, for its ink is the page's.
"""

import io
import re
from typing import Any

from matplotlib.figure import Figure

INK = "#010203"
"""Stands for the colour of the page's text until the SVG is made."""
COLOURS = ("#3d7ff5", "#e0882a", "#23a07a", "#b45fd0", "#d6516b", "#8a8f2a")


def style_of(name: str) -> Any:
    """Settings of a plot for `matplotlib.rc_context`; its name keeps its ids apart from those of others."""
    return {
        "svg.fonttype": "path",
        "svg.hashsalt": name,
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.color": INK,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "legend.frameon": False,
    }


def svg(figure: Figure, title: str) -> str:
    """The figure as SVG inside HTML: without foreign addresses, in the colours of the page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = text.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
    return text.replace(INK, "currentColor")
