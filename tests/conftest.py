"""Rules for the whole suite: one thread, no silent skip in CI, real data where it lies beside us."""

import importlib.util
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from pictura.store.database import Database

ROOT = Path(__file__).resolve().parents[1]
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
REQUIRE_ALL = os.environ.get("PICTURA_REQUIRE_ALL") == "1"

if importlib.util.find_spec("torch"):
    import torch

    torch.set_num_threads(1)  # a tiny network is many times slower on two threads than on one


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of shared data packs that lies beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no data packs at {folder}; see CONTRIBUTING.md")
    return folder


@pytest.fixture(scope="session")
def tiny_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PICTURA_HOME that holds one tiny untrained model, `tiny`."""
    from tests.tiny_model import make_model

    home = tmp_path_factory.mktemp("home")
    make_model(home / "models" / "tiny", name="tiny")
    return home


@pytest.fixture(scope="session")
def gan_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PICTURA_HOME with two tiny untrained painters in one pass, `attngan` and `stackgan`."""
    from tests.tiny_gan import make_gan

    home = tmp_path_factory.mktemp("gan-home")
    for family in ("attngan", "stackgan"):
        make_gan(home / "models" / family, family)
    return home


@pytest.fixture(scope="session")
def dalle_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PICTURA_HOME with two tiny painters by tokens: `sharp`, and `untrained`, which guesses."""
    from tests.tiny_dalle import flattened, make_dalle

    home = tmp_path_factory.mktemp("dalle-home")
    sharp = make_dalle(home / "models" / "sharp", name="sharp", sharp=True)
    flattened(sharp, home / "models" / "untrained")
    return home


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server that runs for this test session alone."""
    from tests import postgres

    if postgres.programs() is None:
        pytest.skip("no PostgreSQL server is installed; see packages.debian")
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator["Database"]:
    """An empty database; a test that takes it runs once on SQLite and once on PostgreSQL."""
    from tests.jobs.queue_kit import opened

    on_postgres = request.param == "postgresql"
    url = request.getfixturevalue("postgres_url") if on_postgres else f"sqlite:///{tmp_path / 'studio.db'}"
    with opened(url) as database:
        yield database


@pytest.fixture(scope="session")
def unclip_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PICTURA_HOME that holds one tiny untrained painter by imagination, `unclip`."""
    from tests.tiny_unclip import make_unclip

    home = tmp_path_factory.mktemp("unclip-home")
    make_unclip(home / "models" / "unclip")
    return home


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="also run the long proofs marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this machine or this call is not for; a skip stays the sign of something missing."""
    left_out = set()
    if not config.getoption("--soak"):
        left_out.add("slow")
    if any(item.get_closest_marker("gpu") for item in items) and not _has_cuda():
        left_out.add("gpu")
    dropped = [item for item in items if any(item.get_closest_marker(name) for name in left_out)]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in dropped]


def _has_cuda() -> bool:
    return importlib.util.find_spec("torch") is not None and torch.cuda.is_available()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _skip_is_failure((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _skip_is_failure((yield))


def _skip_is_failure(report: Report) -> Report:
    """Under PICTURA_REQUIRE_ALL=1 nothing may be missing: turn a skip into a failure with its reason."""
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        reason: Any = report.longrepr
        report.outcome = "failed"
        words = reason[2] if isinstance(reason, tuple) else str(reason)
        report.longrepr = f"Under PICTURA_REQUIRE_ALL=1 nothing may be skipped. {words}"
    return report
