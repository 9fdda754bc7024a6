"""Where a user's models and data lie."""

import os
import sys
from pathlib import Path


def home() -> Path:
    """The folder of a user's models and data: ``$PICTURA_HOME``, or the platform's place for data."""
    if chosen := os.environ.get("PICTURA_HOME"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "pictura"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "pictura"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "pictura"
