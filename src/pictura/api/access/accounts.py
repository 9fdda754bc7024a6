"""Users, passwords, logins of browsers, and keys of programs.

Passwords are kept as argon2id hashes. Keys and logins are 256 bits by chance, so that a plain SHA-256 is
enough of a hash for them; what a client shows is never stored.
"""

import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from pictura.api.config import ROLES, SCOPES, Limits, Role, Scope
from pictura.core.errors import ConfigError, ConflictError, LoginError, NotAllowedError, NotFoundError
from pictura.store.database import Database
from pictura.store.tables import ApiKey, LoginSession, Setting, User

LOCAL = "local"
"""Name of the one user of a studio without login."""
KEY_START = "pic_"
LOGIN_S = 14 * 86400.0
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 256
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_USED_EVERY_S = 60.0
_hasher = PasswordHasher()
_at_once = threading.BoundedSemaphore(2)
"""Each hash takes 64 MB while it is computed."""
_NOBODY = _hasher.hash(secrets.token_hex(16))


@dataclass(frozen=True, kw_only=True, slots=True)
class Who:
    """Who asks, and what they may do."""

    user_id: str
    name: str
    role: Role
    scopes: frozenset[Scope]
    limits: Limits
    by: str
    """``local``, ``key``, ``login`` (a browser's cookie) or ``signature`` (of an address)."""
    login: str | None = None
    """Hash of the login, where it is one."""

    @property
    def is_admin(self) -> bool:
        """Whether everybody's things are theirs to see and change."""
        return self.role == "admin" and "admin" in self.scopes

    @property
    def whose(self) -> str | None:
        """The user whose things they may change; None is everybody's."""
        return None if self.is_admin else self.user_id

    def must(self, scope: Scope) -> None:
        """Refuse who may not do things of that kind.

        Raises:
            NotAllowedError: role or key do not allow it.
        """
        if scope not in self.scopes:
            raise NotAllowedError(f"This needs a key with the scope {scope!r}; yours does not have it.")
        if (scope == "admin" and self.role != "admin") or (scope == "generate" and self.role == "viewer"):
            raise NotAllowedError(f"The role {self.role!r} of {self.name} does not allow this.")


def add_user(database: Database, name: str, password: str | None, role: Role = "user") -> User:
    """Make a user.

    Args:
        database: that keeps users.
        name: letters, digits and ``._@-``, at most 64.
        password: None makes one who cannot log in.
        role: admin, user or viewer.

    Raises:
        ConfigError: name, password or role are not of that form.
        ConflictError: there is a user of that name.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"A user's name is 1 to 64 letters, digits and . _ @ -, and begins with a letter or digit; "
            f"got {name[:80]!r}."
        )
    if role not in ROLES:
        raise ConfigError(f"A role is one of {', '.join(ROLES)}; got {role!r}.")
    if name.lower() == LOCAL:
        raise ConflictError(f"The name {LOCAL!r} is for the user of a studio without login; take another.")
    hashed = None if password is None else hash_password(password)
    with database.write() as session:
        if session.scalar(select(User.id).where(func.lower(User.name) == name.lower())) is not None:
            raise ConflictError(f"There is a user {name!r} already.")
        user = User(name=name, role=role, password_hash=hashed)
        session.add(user)
        return user


def hash_password(password: str) -> str:
    """An argon2id hash.

    Raises:
        ConfigError: the password is too short or too long.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise ConfigError(
            f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters; got {len(password)}."
        )
    with _at_once:
        return _hasher.hash(password)


def log_in(database: Database, name: str, password: str) -> str:
    """Check a password; it takes as long for users who do not exist.

    Returns:
        A token for the browser's cookie.

    Raises:
        LoginError: name or password is wrong.
    """
    with database.read() as session:
        user = session.scalar(select(User).where(func.lower(User.name) == name[:64].lower()))
    known = user.password_hash if user is not None and user.disabled_at is None else None
    if not _is_right(known or _NOBODY, password) or user is None or known is None:
        raise LoginError("The name or the password is wrong.")
    token = secrets.token_urlsafe(32)
    with database.write() as session:
        now = database.now(session)
        session.execute(delete(LoginSession).where(LoginSession.expires_at < now))
        session.add(LoginSession(hash=_hash(token), user_id=user.id, expires_at=now + LOGIN_S))
    return token


def log_out(database: Database, login: str) -> None:
    """Forget a login (its hash)."""
    with database.write() as session:
        session.execute(delete(LoginSession).where(LoginSession.hash == login))


def log_out_everywhere(session: Session, user_id: str) -> None:
    """Forget all logins of a user."""
    session.execute(delete(LoginSession).where(LoginSession.user_id == user_id))


def csrf_of(token: str) -> str:
    """What a page must send beside the cookie, which no other site's page can know."""
    return hmac.new(token.encode(), b"csrf", "sha256").hexdigest()


def is_csrf(token: str, given: str | None) -> bool:
    """Whether a page sent it."""
    return hmac.compare_digest(csrf_of(token).encode(), (given or "").encode())


def add_key(database: Database, user_id: str, scopes: Sequence[Scope]) -> tuple[ApiKey, str]:
    """Make a key for a user.

    Returns:
        What is kept of it, and the key itself, which nobody can find out again.

    Raises:
        ConfigError: a scope is unknown.
    """
    if unknown := set(scopes) - set(SCOPES):
        raise ConfigError(f"Scopes are {', '.join(SCOPES)}; got {sorted(unknown)}.")
    key = KEY_START + secrets.token_urlsafe(32)
    with database.write() as session:
        row = ApiKey(
            user_id=user_id, hash=_hash(key), prefix=key[: len(KEY_START) + 6], scopes=sorted(set(scopes))
        )
        session.add(row)
        return row, key


def revoke_key(database: Database, key_id: str, user_id: str | None) -> ApiKey:
    """Let a key open nothing any more.

    Raises:
        NotFoundError: that user (None is anybody) has no such key.
    """
    with database.write() as session:
        row = session.get(ApiKey, key_id) if key_id.isalnum() else None
        if row is None or user_id not in (None, row.user_id):
            raise NotFoundError(f"There is no key {key_id[:100]!r} of yours.")
        row.revoked_at = row.revoked_at or database.now(session)
        return row


def user_of_key(database: Database, key: str) -> tuple[User, list[str]] | None:
    """Whose key it is, and its scopes; None for one that opens nothing."""
    with database.read() as session:
        row = session.scalar(select(ApiKey).where(ApiKey.hash == _hash(key), ApiKey.revoked_at.is_(None)))
        user = session.get(User, row.user_id) if row else None
        now = database.now(session)
    if row is None or user is None or user.disabled_at is not None:
        return None
    if now - (row.last_used_at or 0) > _USED_EVERY_S:
        with database.write() as session:
            session.get_one(ApiKey, row.id).last_used_at = now
    return user, row.scopes


def user_of_login(database: Database, token: str) -> tuple[User, str] | None:
    """Who is logged in by a cookie's token, and its hash; None where it holds no more."""
    with database.read() as session:
        query = select(User).join(LoginSession, LoginSession.user_id == User.id)
        held = LoginSession.expires_at > database.now(session)
        user = session.scalar(query.where(LoginSession.hash == _hash(token), held))
    return None if user is None or user.disabled_at is not None else (user, _hash(token))


def limits_of(database: Database, user: User, of_role: Limits) -> Limits:
    """Those of the user's role, but for what an administrator changed for this user."""
    with database.read() as session:
        own = session.get(Setting, f"limits/{user.id}")
    return of_role if own is None else of_role.changed(own.value)


def local_user(database: Database) -> User:
    """The one user of a studio without login, who is made if missing and cannot log in."""
    with database.write() as session:
        user = session.scalar(select(User).where(User.name == LOCAL))
        if user is None:
            user = User(name=LOCAL, role="admin")
            session.add(user)
        return user


def has_accounts(database: Database) -> bool:
    """Whether somebody can log in."""
    with database.read() as session:
        return session.scalar(select(User.id).where(User.password_hash.is_not(None)).limit(1)) is not None


def exists(database: Database, name: str) -> bool:
    """Whether there is a user of that name."""
    with database.read() as session:
        return session.scalar(select(User.id).where(func.lower(User.name) == name.lower())) is not None


def _is_right(known: str, password: str) -> bool:
    with _at_once:
        try:
            return _hasher.verify(known, password[:LONGEST_PASSWORD])
        except (VerificationError, InvalidHashError):
            return False


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
