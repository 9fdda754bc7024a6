"""Names that resolve to code on use: ``name -> "module:attribute"``, plus names from entry points."""

import importlib
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any

from pictura.core.errors import ConfigError, did_you_mean


class Registry:
    """A lazy table of names. Listing it imports nothing; `get` imports one module."""

    def __init__(self, noun: str, names: Mapping[str, str], *, group: str) -> None:
        """Make the table.

        Args:
            noun: what one entry is, for messages ("family").
            names: built-in entries, name to ``module:attribute``.
            group: entry-point group through which other packages add names.
        """
        self._noun = noun
        self._names = dict(names)
        self._group = group

    def __iter__(self) -> Iterator[str]:
        """All names, built-in first."""
        yield from self._all()

    def _all(self) -> dict[str, str]:
        plugins = {e.name: e.value for e in entry_points(group=self._group)}
        return {**plugins, **self._names}

    def get(self, name: str) -> Any:
        """Import and return what `name` stands for.

        Raises:
            ConfigError: no entry has that name.
        """
        table = self._all()
        if name not in table:
            raise ConfigError(f"No {self._noun} is named {name!r}. {did_you_mean(name, table)}")
        module, _, attribute = table[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
