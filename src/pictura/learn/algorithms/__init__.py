"""Ways to learn, one file each; a page for each in docs/algorithms/."""

from pictura.learn.algorithms.make import ALGORITHMS, make_algorithm

__all__ = ["ALGORITHMS", "make_algorithm"]
