"""`pictura studio`: the API, its workers, the pages, and where they are to be found, in one command."""

import json
import logging
import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pictura.core.errors import ConfigError

if TYPE_CHECKING:
    import socket

    from pictura.api.config import ApiConfig
    from pictura.store.database import Database

PASSWORD = "PICTURA_ADMIN_PASSWORD"  # noqa: S105  # the name of a variable


def command(
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine's need a login.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 7860,
    web_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of the pages; 0 takes any free one.")
    ] = 7861,
    no_web: Annotated[bool, typer.Option("--no-web", help="No pages; the APIs alone.")] = False,
    workers: Annotated[int, typer.Option(min=0, max=64, help="Processes that paint.")] = 1,
    device: Annotated[str, typer.Option(help="What they compute on: auto, cpu or cuda.")] = "auto",
    model: Annotated[str, typer.Option(help="Loaded before the first request.")] = "default",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no page in a browser.")] = False,
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
    c2pa_cert: Annotated[
        str | None,
        typer.Option(
            envvar="PICTURA_C2PA_CERT", help="Sign what leaves the studio by this certificate (PEM)."
        ),
    ] = None,
    c2pa_key: Annotated[
        str | None, typer.Option(envvar="PICTURA_C2PA_KEY", help="The certificate's private key (PEM).")
    ] = None,
) -> None:
    """Start the studio: jobs, pictures, APIs for people and programs."""
    _load_studio(with_pages=not no_web)
    from pictura.api.serve import listen, serve
    from pictura.api.telling.signing import signer_of
    from pictura.jobs.child import Child
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
    config = replace(config, c2pa_certificate=c2pa_cert or None, c2pa_key=c2pa_key or None)
    signer_of(config)  # refuses what cannot sign before anything starts
    address = listen(host, port)
    url = _url(address)
    pages = None if no_web else listen(host, web_port, option="--web-port")
    if pages is not None:
        config = replace(config, web_port=pages.getsockname()[1])
    queue = Queue(opened, Files(), config.queue)
    crew = Crew(queue, workers, name=f"studio-{os.getpid()}", options=("--device", device, "--warm", model))
    web = None if pages is None else Child("the pages", _pages_command(config, url, pages), [pages.fileno()])

    def begin() -> None:
        _greet(url, config)
        if web is not None and pages is not None:
            web.start()  # not before, so that the first picture is not waited for longer
            _greet_pages(_near(_url(pages)), open_browser=not no_browser)

    with _told(_near(url), None if pages is None else _near(_url(pages))), _stoppable():
        crew.start()
        try:
            serve(config, address, begin)
        finally:
            if web is not None:
                web.end()
            crew.stop()
            if web is not None:
                web.stop()
            opened.close()
    typer.echo("The studio has stopped. What waits will be painted when it starts again.")


def _load_studio(*, with_pages: bool) -> None:
    """Say what to install where something is missing."""
    from pictura.core.errors import MissingExtraError

    try:
        import pictura.api.serve  # noqa: F401

        for name in ("nicegui", "httpx") if with_pages else ():  # the pages are a process of their own
            if find_spec(name) is None:
                raise ModuleNotFoundError(name=name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"The studio needs {error.name}, which is not installed: pip install 'pictura[studio]'"
        ) from error


def _url(address: "socket.socket") -> str:
    name, port = address.getsockname()[:2]
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def _near(url: str) -> str:
    """The same as this machine reaches it."""
    return url.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")  # noqa: S104


def _pages_command(config: "ApiConfig", url: str, address: "socket.socket") -> list[str]:
    """How the pages are started: on a socket of ours, so that their address outlives them."""
    command = [sys.executable, "-m", "pictura.web", "--api", _near(url), "--host", config.host]
    command += ["--socket", str(address.fileno()), "--parent", str(os.getpid())]
    command += ["--login"] if config.login else []
    return command + (["--public-url", config.public_url] if config.public_url else [])


def _greet_pages(url: str, *, open_browser: bool) -> None:
    typer.echo(f"The pages: {url}")
    has_screen = sys.platform in ("darwin", "win32") or any(
        map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))
    )
    if open_browser and has_screen:
        threading.Thread(target=webbrowser.open, args=(url,), name="browser", daemon=True).start()


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
def _told(url: str, pages: str | None) -> Iterator[None]:
    """Write where the studio is to be found, for as long as it runs; `pictura imagine` reads it."""
    from pictura.store.atomic import atomic_file
    from pictura.store.models import home

    path = home() / "studio.json"
    said: Mapping[str, Any] = {"url": url, "pid": os.getpid(), **({"pages": pages} if pages else {})}
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
