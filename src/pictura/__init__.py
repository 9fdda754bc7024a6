"""Pictura: write a sentence, get four pictures.

>>> import pictura
>>> pictures = pictura.load("default").paint("a red apple", num_images=4, seed=1)
>>> pictures[0].save("apple.png")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pictura.pipeline import Painter, Picture, grid, load, repaint
    from pictura.search import Searcher

__version__ = "0.1.0"
__all__ = ["Painter", "Picture", "Searcher", "__version__", "grid", "load", "repaint"]


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import pictura` costs nothing."""
    if name == "Searcher":
        from pictura.search import Searcher

        return Searcher
    if name in __all__:
        from pictura import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module 'pictura' has no attribute {name!r}")
