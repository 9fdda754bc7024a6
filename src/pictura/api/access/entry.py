"""Who asks: the local user, a key, a browser's cookie, or a signed address. Everything else is refused."""

import base64
import binascii
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, QueryParams

from pictura.api.access import accounts
from pictura.api.access.accounts import Who
from pictura.api.config import SCOPES, Role, is_this_machine
from pictura.api.studio import Studio
from pictura.core.errors import LoginError, NotAllowedError
from pictura.store.tables import User

COOKIE = "pictura_login"
CSRF_HEADER = "x-csrf-token"
OPEN = frozenset(("/", "/healthz", "/readyz", "/openapi.json"))
"""Addresses that tell nothing about anybody."""
LOGIN = "/api/v1/session"
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


def identify(studio: Studio, method: str, path: str, headers: Headers, query: QueryParams) -> Who | None:
    """Who asks, and what they may do; None at addresses that are open to all.

    Raises:
        LoginError: nobody, or somebody unknown.
        NotAllowedError: the page of another site asks in the name of the browser's user.
    """
    if not studio.config.login:
        _check_host(studio, headers)
        _check_origin(studio, method, headers)
        return None if path in OPEN else studio.local
    if path in OPEN or (path == LOGIN and method == "POST"):
        return None
    if key := _key(headers):
        found = accounts.user_of_key(studio.database, key)
        if found is None:
            raise LoginError(
                "The key opens nothing here: it is wrong, was revoked, or its user was shut out."
            )
        return _who(studio, found[0], found[1], "key")
    if token := _cookie(headers):
        known = accounts.user_of_login(studio.database, token)
        if known is not None:
            _check_origin(studio, method, headers)
            if method not in _SAFE and not accounts.is_csrf(token, headers.get(CSRF_HEADER)):
                raise NotAllowedError(
                    f"A page must send {CSRF_HEADER}, as {LOGIN} gives it, beside its cookie."
                )
            return _who(studio, known[0], list(SCOPES), "login", known[1])
    if method == "GET" and (signature := query.get("signature")):
        expires = query.get("expires", "")
        if studio.is_signed(f"{path}?{expires}", signature) and _is_to_come(studio, expires):
            return _signed(studio)
    raise LoginError("Say who you are: send a key as `Authorization: Bearer pic_…`, or log in.")


def signed(studio: Studio, path: str, for_s: float) -> str:
    """An address that opens one thing, for a while, to whoever has it."""
    with studio.database.read() as session:
        expires = str(int(studio.database.now(session) + for_s))
    return f"{path}?expires={expires}&signature={studio.sign(f'{path}?{expires}')}"


def _who(studio: Studio, user: User, scopes: list[str], by: str, login: str | None = None) -> Who:
    role: Role = next((one for one in ("admin", "user") if one == user.role), "viewer")
    limits = accounts.limits_of(studio.database, user, studio.config.limits[role])
    known = frozenset(scope for scope in SCOPES if scope in scopes)
    return Who(user_id=user.id, name=user.name, role=role, scopes=known, limits=limits, by=by, login=login)


def _signed(studio: Studio) -> Who:
    """Whoever has a signed address: nobody in particular, who may read what it names."""
    limits = studio.config.limits["viewer"]
    return Who(user_id="", name="", role="viewer", scopes=frozenset(), limits=limits, by="signature")


def _key(headers: Headers) -> str | None:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":  # AUTOMATIC1111's clients: any name, the key as the password
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return value
    return None


def _cookie(headers: Headers) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return found.value if found else None


def _check_host(studio: Studio, headers: Headers) -> None:
    """Without login, only names of this machine count: another name may be a page that rebinds its own."""
    host = _without_port(headers.get("host", ""))
    if host != studio.config.host and not is_this_machine(host):
        raise NotAllowedError(
            f"This studio answers to names of its own machine; the request was to {host[:100]!r}."
        )


def _check_origin(studio: Studio, method: str, headers: Headers) -> None:
    """Refuse what the page of another site asks the browser to send."""
    origin = headers.get("origin")
    if method in _SAFE or origin is None or origin == studio.config.public_url:
        return
    if origin.partition("://")[2] != headers.get("host", ""):
        raise NotAllowedError(
            f"Pages of other sites may change nothing here; this one is of {origin[:100]!r}."
        )


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def _is_to_come(studio: Studio, expires: str) -> bool:
    if not (expires.isascii() and expires.isdigit() and len(expires) < 12):
        return False
    with studio.database.read() as session:
        return int(expires) > studio.database.now(session)
