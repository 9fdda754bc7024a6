"""Tables of TOML and JSON files: names and values in, typed and checked dataclasses out.

A key that a dataclass does not have is an error that names the nearest one, so that a misspelt setting never
passes as a default.
"""

import dataclasses
import types
import typing
from typing import Any, TypeVar

from pictura.core.errors import ConfigError, did_you_mean

T = TypeVar("T")


def from_table(cls: type[T], table: dict[str, Any], where: str) -> T:
    """Build the dataclass `cls` from a table of a TOML or JSON file.

    Args:
        cls: a dataclass; fields that are dataclasses themselves are read from sub-tables.
        table: names and values.
        where: opens every message ("recipe.toml [training]").

    Raises:
        ConfigError: an unknown key, a missing key or a value of the wrong type.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values = {}
    for key, value in table.items():
        if key not in fields:
            raise ConfigError(f"{where}: there is no setting {key!r}. {did_you_mean(key, fields)}")
        values[key] = _checked(hints[key], value, f"{where}: {key}")
    for name, one in fields.items():
        required = one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ConfigError(f"{where}: the setting {name!r} is missing.")
    return cls(**values)


def to_table(settings: Any) -> dict[str, Any]:
    """The inverse of `from_table`, of plain values that JSON can hold."""
    return dataclasses.asdict(settings)


def _checked(hint: Any, value: Any, where: str) -> Any:
    if isinstance(hint, types.UnionType):  # something, or None
        if value is None:
            return None
        hint = next(a for a in typing.get_args(hint) if a is not type(None))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise ConfigError(f"{where} must be a table; got {value!r}.")
        return from_table(hint, value, where)
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        allowed = typing.get_args(hint)
        if value not in allowed:
            raise ConfigError(f"{where} must be {' or '.join(map(repr, allowed))}; got {value!r}.")
        return value
    if origin is tuple:
        return _checked_list(typing.get_args(hint), value, where)
    kind = origin or hint
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigError(f"{where} must be of type {kind.__name__}; got {value!r}.")
    return value


def _checked_list(hints: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{where} must be a list; got {value!r}.")
    if hints[-1] is Ellipsis:
        return tuple(_checked(hints[0], v, where) for v in value)
    if len(value) != len(hints):
        raise ConfigError(f"{where} must be a list of {len(hints)} values; got {value!r}.")
    return tuple(_checked(a, v, where) for a, v in zip(hints, value, strict=True))
