"""`python -m pictura.web`: the pages, until they are told to stop or what started them is gone."""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType

import uvicorn

from pictura.core.errors import PicturaError
from pictura.web.app import create_app
from pictura.web.frame.gate import WebConfig

log = logging.getLogger("pictura.web")
GRACE_S = 1
LOOK_S = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve; the exit code is 0 after being told to stop."""
    parser = argparse.ArgumentParser(prog="python -m pictura.web", description="The pages of the studio.")
    parser.add_argument("--api", required=True, help="address of the API, such as http://127.0.0.1:7860")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=7861, help="port to listen on")
    parser.add_argument("--socket", type=int, help="a listening socket that was handed over, in their place")
    parser.add_argument(
        "--login", action="store_true", help="people log in; any name of this machine is good"
    )
    parser.add_argument("--public-url", help="how browsers reach the pages through another server")
    parser.add_argument("--parent", type=int, help="process whose end ends this one")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    for name in (
        "httpx",
        "uvicorn.error",
    ):  # their lines hold addresses with what people look for, or who they are
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        config = WebConfig(api=asked.api, host=asked.host, login=asked.login, public_url=asked.public_url)
    except PicturaError as error:
        log.error("%s", error)
        return error.exit_code
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # the server ends by them; they shall not reach us again after it
        signal.signal(number, _ignore)
    handed = None if asked.socket is None else [socket.socket(fileno=asked.socket)]
    asyncio.run(_serve(config, asked.port, handed, asked.parent))
    return 0


def _ignore(number: int, frame: FrameType | None) -> None:
    return


async def _serve(
    config: WebConfig, port: int, handed: list[socket.socket] | None, parent: int | None
) -> None:
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(config),
            host=config.host,
            port=port,
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
    )
    watching = asyncio.create_task(_watch(server, parent))
    await server.serve(sockets=handed)
    watching.cancel()


async def _watch(server: uvicorn.Server, parent: int | None) -> None:
    """End the server when the program that started it is gone."""
    while parent is not None and os.getppid() == parent:
        await asyncio.sleep(LOOK_S)
    if parent is not None:
        server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
