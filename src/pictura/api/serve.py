"""The API on an address, until somebody stops it."""

import errno
import socket
from collections.abc import Callable

import uvicorn

from pictura.api.app import create_app
from pictura.api.config import ApiConfig
from pictura.core.errors import ConfigError

GRACE_S = 5
"""For answers that are under way when the studio stops."""


def listen(host: str, port: int, option: str = "--port") -> socket.socket:
    """Take an address; port 0 takes any that is free.

    Args:
        host: to listen on.
        port: to listen on.
        option: by which another port is chosen, for the sentence that says so.

    Raises:
        ConfigError: it is taken, or cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        taken.listen(256)
    except OSError as error:
        taken.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"Port {port} of {host} is taken, perhaps by another studio. Choose another with {option}."
            ) from error
        raise ConfigError(f"Cannot listen on {host}, port {port}: {error.strerror or error}.") from error
    return taken


def serve(config: ApiConfig, address: socket.socket, on_ready: Callable[[], None] = lambda: None) -> None:
    """Answer requests until SIGINT or SIGTERM.

    Args:
        config: of the app.
        address: from `listen`.
        on_ready: called when requests are answered.

    Raises:
        PicturaError: the database cannot be opened.
    """
    app = create_app(config)
    server = _Server(
        uvicorn.Config(
            app,
            access_log=False,  # the gate logs, without queries
            log_config=None,
            server_header=False,
            date_header=True,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=GRACE_S,
            h11_max_incomplete_event_size=64 * 1024,
        )
    )
    server.on_ready = on_ready
    server.run(sockets=[address])


class _Server(uvicorn.Server):
    """Tells when it answers."""

    on_ready: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        if self.started:
            self.on_ready()
