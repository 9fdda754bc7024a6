"""Ways to learn, one file each; a page for each in docs/algorithms/."""

from pictura.learn.algorithms.make import ALGORITHMS, check_pair, make_algorithm

__all__ = ["ALGORITHMS", "check_pair", "make_algorithm"]
