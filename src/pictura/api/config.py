"""What an administrator chooses before the studio starts."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

from pictura.core.errors import ConfigError
from pictura.jobs.values import QueueConfig

Role = Literal["admin", "user", "viewer"]
Scope = Literal["generate", "rate", "admin"]
ROLES: tuple[Role, ...] = ("admin", "user", "viewer")
SCOPES: tuple[Scope, ...] = ("generate", "rate", "admin")
_NAMES_OF_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one user may ask for; None is no limit."""

    requests_a_minute: int | None = 1200
    """Of any kind, thumbnails included."""
    pending_jobs: int | None = 20
    """Jobs that wait or run."""
    images_a_day: int | None = 1000
    """Pictures asked for within any 24 hours, those of failed and cancelled jobs not counted."""
    images_a_job: int | None = 16
    pixels: int | None = 1024 * 1024
    """Width times height of a picture."""
    steps: int | None = 100
    """Network steps of a picture."""
    streams: int | None = 20
    """Streams of events that are open at once."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and value < 0:
                raise ConfigError(f"The limit {name} must be at least 0, or none; got {value}.")

    def changed(self, by: Mapping[str, Any]) -> "Limits":
        """The same with some limits replaced."""
        known = {one.name for one in fields(self)}
        return Limits(**{**asdict(self), **{name: value for name, value in by.items() if name in known}})


UNLIMITED = Limits(
    requests_a_minute=None,
    pending_jobs=None,
    images_a_day=None,
    images_a_job=64,
    pixels=None,
    steps=1000,
    streams=None,
)
_OF_ROLES: Mapping[Role, Limits] = MappingProxyType(
    {"admin": UNLIMITED, "user": Limits(), "viewer": Limits(images_a_day=0)}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiConfig:
    """How the studio is reached and what it allows."""

    database: str | None = None
    """As `store.database.Database` takes it."""
    files: str | None = None
    """As `store.files.Files` takes it."""
    host: str = "127.0.0.1"
    """The address that is listened on."""
    login: bool = False
    """Whether people and programs must say who they are. Without it everybody is the local administrator,
    so that only this machine may be listened on."""
    public_url: str | None = None
    """How clients reach the studio, such as https://studio.example.org; None is as each of them did."""
    web_port: int | None = None
    """Where the pages listen, at the same address; None where there are none."""
    limits: Mapping[Role, Limits] = field(default_factory=lambda: _OF_ROLES)
    queue: QueueConfig = field(default_factory=lambda: QueueConfig(max_pending_per_user=10_000))
    openai_names: Mapping[str, str] = field(
        default_factory=lambda: dict.fromkeys(
            ("dall-e-2", "dall-e-3", "gpt-image-1", "gpt-image-1-mini", "gpt-image-1.5", "gpt-image-2"),
            "default",
        )
    )
    """Names of OpenAI's models, and which of ours answers to each."""
    wait_s: float = 600.0
    """The longest that a request waits for its pictures."""
    ping_s: float = 15.0
    """Between signs of life on a stream of events."""
    body_bytes: int = 256 * 1024
    """Of a request."""
    picture_bytes: int = 8 * 2**20
    """The same, of those of the native API that may bring a picture in base64."""
    upload_bytes: int = 24 * 2**20
    """Of a request that brings pictures."""
    upload_pixels: int = 16_000_000
    """Of an uploaded picture."""
    c2pa_certificate: str | None = None
    """PEM file of those that vouch for what leaves the studio, its own first; None signs nothing."""
    c2pa_key: str | None = None
    """PEM file of the certificate's private key."""
    sweep_s: float | None = 3600.0
    """Between sweeps of what nobody needs any more; None is never."""

    def __post_init__(self) -> None:
        if self.public_url is not None and not re.fullmatch(r"https?://[^/?#\s]+", self.public_url):
            raise ConfigError(
                "The public address is https://HOST or http://HOST:PORT without a path; "
                f"got {self.public_url!r}."
            )
        if (self.c2pa_certificate is None) != (self.c2pa_key is None):
            given, missing = ("certificate", "key") if self.c2pa_key is None else ("key", "certificate")
            raise ConfigError(
                f"Signing needs a certificate and its key; got a {given} alone. Give its {missing}."
            )
        if not self.login and not is_this_machine(self.host):
            raise ConfigError(
                f"Whoever reaches {self.host} could do everything, for nobody has to log in. "
                "Make a first administrator with --admin NAME, or listen on 127.0.0.1."
            )


def is_this_machine(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host in _NAMES_OF_THIS_MACHINE:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
