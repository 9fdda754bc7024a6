"""What only a painter by imagination can do: pictures in, pictures of their idea, mixed or changed, out."""

from pictura.imagination.actions import Imagination, RoundTrip
from pictura.imagination.eyes import Eyes, PictureLike, Source
from pictura.imagination.work import Manner

__all__ = ["Eyes", "Imagination", "Manner", "PictureLike", "RoundTrip", "Source"]
