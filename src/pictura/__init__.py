"""Pictura: write a sentence, get four pictures."""

__version__ = "0.1.0"
