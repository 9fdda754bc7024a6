"""`pictura studio`: the API, its workers, and where they are to be found, in one command."""

import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pictura.core.errors import ConfigError

if TYPE_CHECKING:
    from pictura.api.config import ApiConfig
    from pictura.store.database import Database

PASSWORD = "PICTURA_ADMIN_PASSWORD"  # noqa: S105  # the name of a variable


def command(
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine's need a login.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 7860,
    workers: Annotated[int, typer.Option(min=0, max=64, help="Processes that paint.")] = 1,
    device: Annotated[str, typer.Option(help="What they compute on: auto, cpu or cuda.")] = "auto",
    model: Annotated[str, typer.Option(help="Loaded before the first request.")] = "default",
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Open no page in a browser; there is none yet.")
    ] = False,
    admin: Annotated[
        str | None,
        typer.Option(
            help=f"Make this administrator and switch the login on. The password is typed, or in {PASSWORD}."
        ),
    ] = None,
    no_login: Annotated[
        bool, typer.Option("--no-login", help="No login although there are accounts; on 127.0.0.1 alone.")
    ] = False,
    public_url: Annotated[
        str | None, typer.Option(help="How others reach it, such as https://studio.example.org.")
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="sqlite:///FILE or postgresql://… [default: in PICTURA_HOME]")
    ] = None,
    files: Annotated[
        str | None, typer.Option(help="Folder or URL of the pictures. [default: in PICTURA_HOME]")
    ] = None,
) -> None:
    """Start the studio: jobs, pictures, APIs for people and programs."""
    _load_studio()
    from pictura.api.serve import listen, serve
    from pictura.jobs.crew import Crew
    from pictura.jobs.queue import Queue
    from pictura.store.database import Database
    from pictura.store.files import Files

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    environment = {
        name: value for name, value in (("PICTURA_DATABASE", database), ("PICTURA_FILES", files)) if value
    }
    os.environ.update(environment)
    opened = Database.open()
    config = _config(opened, admin, host=host, no_login=no_login, public_url=public_url)
    address = listen(host, port)
    name = address.getsockname()[0]
    url = f"http://{f'[{name}]' if ':' in name else name}:{address.getsockname()[1]}"
    queue = Queue(opened, Files(), config.queue)
    crew = Crew(queue, workers, name=f"studio-{os.getpid()}", options=("--device", device, "--warm", model))
    with _told(url.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")), _stoppable():  # noqa: S104
        crew.start()
        try:
            serve(config, address, lambda: _greet(url, config))
        finally:
            crew.stop()
            opened.close()
    typer.echo("The studio has stopped. What waits will be painted when it starts again.")


def _load_studio() -> None:
    """Say what to install where something is missing."""
    from pictura.core.errors import MissingExtraError

    try:
        import pictura.api.serve  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"The studio needs {error.name}, which is not installed: pip install 'pictura[studio]'"
        ) from error


def _config(
    database: "Database", admin: str | None, *, host: str, no_login: bool, public_url: str | None
) -> "ApiConfig":
    """Make the first administrator if that is asked for, and decide whether people log in."""
    from pictura.api.access import accounts
    from pictura.api.config import ApiConfig

    if admin is not None and no_login:
        raise ConfigError("--admin switches the login on and --no-login off; give one of them.")
    if admin is not None and not accounts.exists(database, admin):
        password = os.environ.get(PASSWORD) or _asked_password(admin)
        accounts.add_user(database, admin, password, "admin")
        typer.echo(f"Made the administrator {admin}.")
    login = not no_login and accounts.has_accounts(database)
    return ApiConfig(host=host, login=login, public_url=public_url)


def _asked_password(name: str) -> str:
    if not sys.stdin.isatty():
        raise ConfigError(
            f"A password is needed for {name}: start where it can be typed, or put it into {PASSWORD}."
        )
    return str(typer.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True))


def _greet(url: str, config: "ApiConfig") -> None:
    if config.login:
        who = "People log in; programs send a key."
    else:
        who = "Nobody has to log in; only this machine can reach it."
    typer.echo(f"The studio listens on {url} (Ctrl-C stops it). {who}")
    typer.echo(f"OpenAI's clients: base_url {url}/v1 · AUTOMATIC1111's: {url} · the API: {url}/openapi.json")


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Write where the studio is to be found, for as long as it runs; `pictura imagine` reads it."""
    from pictura.store.atomic import atomic_file
    from pictura.store.models import home

    path = home() / "studio.json"
    said: Mapping[str, Any] = {"url": url, "pid": os.getpid()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(said))
    try:
        yield
    finally:
        _forget(path)


def _forget(path: Path) -> None:
    """Remove the note, unless another studio has written its own meanwhile."""
    try:
        if json.loads(path.read_text())["pid"] == os.getpid():
            path.unlink()
    except (OSError, ValueError, KeyError):
        return


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM end the server and nothing else; what the server caught reaches us again after it."""

    def ignore(number: int, frame: FrameType | None) -> None:
        return

    old = {number: signal.signal(number, ignore) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
