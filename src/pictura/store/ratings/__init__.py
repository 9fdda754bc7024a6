"""What people think of pictures: kept with what was shown, asked for in pairs, read for learning, told."""

from pictura.store.ratings.learning import RatedPair, pairs

__all__ = ["RatedPair", "pairs"]
