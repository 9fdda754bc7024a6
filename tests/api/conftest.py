"""One real studio for all tests of the API that need pictures."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from pictura.api.access import accounts
from tests.api.api_kit import Served, make_home, served


@pytest.fixture(scope="session")
def studio(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A studio with one worker and a tiny model, which is its default."""
    home = make_home(tmp_path_factory.mktemp("studio"), tiny_home)
    with served(home, "--model", "tiny") as running:
        yield running


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords with little work; how much work is right is argon2's own business."""
    quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(accounts, "_hasher", quick)
