"""Import what only the extra `train` installs, or say how to install it."""

import importlib
from typing import Any

from pictura.core.errors import MissingExtraError


def need(module: str, purpose: str) -> Any:
    """Import `module` on use, so that a plain install starts without it.

    Args:
        module: dotted name, such as ``pyarrow.parquet``.
        purpose: what cannot be done without it, to open the message ("Reading Parquet files").

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise MissingExtraError(
            f"{purpose} needs the package {package!r}, which is not installed. "
            "Install it with: pip install 'pictura[train]'"
        ) from error
