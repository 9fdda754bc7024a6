"""Who asks: logins of browsers, users, keys, and the settings that administrators make for all."""

import logging
from dataclasses import asdict
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from pictura.api.access import accounts
from pictura.api.access.entry import COOKIE
from pictura.api.access.policy import Policy
from pictura.api.config import SCOPES
from pictura.api.deps import Admin, Rates, Reader, StudioDep
from pictura.api.schemas.native import (
    KeyAsked,
    KeyList,
    KeyMade,
    KeyTold,
    LoginAsked,
    PolicyAsked,
    SessionTold,
    UserAsked,
    UserChanged,
    UserList,
    UserTold,
)
from pictura.api.schemas.ratings import SettingsChanged
from pictura.api.studio import Studio
from pictura.core.errors import ConfigError, NotAllowedError, NotFoundError
from pictura.store.ratings import events
from pictura.store.tables import ApiKey, Setting, User

router = APIRouter(tags=["accounts"])
log = logging.getLogger("pictura.audit")


@router.post("/session", tags=["open"])
def log_in(body: LoginAsked, request: Request, response: Response, studio: StudioDep) -> SessionTold:
    """Log a browser in: a cookie that no script can read, and a token that pages send with every change."""
    if not studio.config.login:
        raise ConfigError("Nobody logs in here: whoever reaches this studio is its local user.")
    token = accounts.log_in(studio.database, body.name, body.password)
    public = studio.config.public_url or str(request.base_url)
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(accounts.LOGIN_S),
        httponly=True,
        samesite="strict",
        secure=public.startswith("https:"),
    )
    found = accounts.user_of_login(studio.database, token)
    assert found is not None
    return SessionTold(
        user=_user(studio, found[0]),
        by="login",
        scopes=list(SCOPES),
        settings=_settings(found[0]),
        csrf_token=accounts.csrf_of(token),
    )


@router.get("/session")
def who_am_i(request: Request, studio: StudioDep, who: Reader) -> SessionTold:
    """Who asks."""
    with studio.database.read() as session:
        user = session.get_one(User, who.user_id)
    csrf = accounts.csrf_of(request.cookies[COOKIE]) if who.by == "login" else None
    by = cast(Literal["local", "key", "login"], who.by)
    return SessionTold(
        user=_user(studio, user),
        by=by,
        scopes=sorted(who.scopes),
        settings=_settings(user),
        csrf_token=csrf,
    )


@router.patch("/session")
def change_session(body: SettingsChanged, request: Request, studio: StudioDep, who: Rates) -> SessionTold:
    """Say whether models may learn from what one rates; nothing is learnt from anybody who did not say so."""
    events.set_consent(studio.database, who.user_id, body.train_on_ratings, past=body.past)
    return who_am_i(request, studio, who)


@router.delete("/session", status_code=204)
def log_out(studio: StudioDep, who: Reader) -> Response:
    """Log a browser out."""
    if who.login is not None:
        accounts.log_out(studio.database, who.login)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE)
    return response


@router.get("/users")
def list_users(studio: StudioDep, who: Admin) -> UserList:
    """All users."""
    with studio.database.read() as session:
        users = session.scalars(select(User).order_by(User.id)).all()
    return UserList(items=[_user(studio, user) for user in users])


@router.post("/users", status_code=201)
def make_user(body: UserAsked, studio: StudioDep, who: Admin) -> UserTold:
    """Make a user."""
    user = accounts.add_user(studio.database, body.name, body.password, body.role)
    log.info("%s made user %s, role %s", who.user_id, user.id, user.role)
    return _user(studio, user)


@router.patch("/users/{user_id}")
def change_user(user_id: str, body: UserChanged, studio: StudioDep, who: Admin) -> UserTold:
    """Change role, password or limits of a user, or shut them out; a new password ends all their logins."""
    hashed = None if body.password is None else accounts.hash_password(body.password)
    if user_id == who.user_id and (body.disabled or body.role not in (None, "admin")):
        raise NotAllowedError("Nobody takes their own rights away; let another administrator do it.")
    with studio.database.write() as session:
        user = session.get(User, user_id) if user_id.isalnum() else None
        if user is None:
            raise NotFoundError(f"There is no user {user_id[:100]!r}.")
        now = studio.database.now(session)
        user.role = body.role or user.role
        if body.disabled is not None:
            user.disabled_at = (user.disabled_at or now) if body.disabled else None
        if hashed is not None:
            user.password_hash = hashed
        if hashed is not None or body.disabled:
            accounts.log_out_everywhere(session, user.id)
        if body.limits is not None:
            _set_limits(session, user, body, now)
    log.info("%s changed user %s: %s", who.user_id, user.id, ", ".join(sorted(body.model_fields_set)))
    return _user(studio, user)


@router.get("/keys")
def list_keys(
    studio: StudioDep,
    who: Reader,
    everybody: Annotated[bool, Query(description="Of administrators: all users' keys.")] = False,
) -> KeyList:
    """Keys of programs, without the keys themselves."""
    query = select(ApiKey).order_by(ApiKey.id)
    if not (everybody and who.is_admin):
        query = query.where(ApiKey.user_id == who.user_id)
    with studio.database.read() as session:
        return KeyList(items=[_key(row) for row in session.scalars(query)])


@router.post("/keys", status_code=201)
def make_key(body: KeyAsked, studio: StudioDep, who: Reader) -> KeyMade:
    """Make a key; it is shown this once. Keys make no keys with scopes that they do not have."""
    user_id = body.user_id or who.user_id
    if user_id != who.user_id:
        who.must("admin")
        _check_user(studio, user_id)
    if missing := set(body.scopes) - who.scopes:
        raise NotAllowedError(f"Your own key lacks {', '.join(sorted(missing))}, so it can give no such key.")
    row, key = accounts.add_key(studio.database, user_id, body.scopes)
    log.info("%s made key %s for %s", who.user_id, row.id, user_id)
    return KeyMade(**_key(row).model_dump(), key=key)


@router.delete("/keys/{key_id}")
def revoke_key(key_id: str, studio: StudioDep, who: Reader) -> KeyTold:
    """Let a key open nothing any more."""
    row = accounts.revoke_key(studio.database, key_id, who.whose)
    log.info("%s revoked key %s", who.user_id, row.id)
    return _key(row)


@router.get("/settings")
def get_settings(studio: StudioDep, who: Admin) -> PolicyAsked:
    """What holds for all."""
    policy = studio.policy.get()
    return PolicyAsked(mode=policy.mode, words=list(policy.words), metadata=policy.metadata)


@router.put("/settings")
def change_settings(body: PolicyAsked, studio: StudioDep, who: Admin) -> PolicyAsked:
    """Set what holds for all: words that prompts must not hold, and whether files carry metadata."""
    studio.policy.set(Policy(mode=body.mode, words=tuple(body.words), metadata=body.metadata))
    log.info(
        "%s set the policy: %s, %d words, metadata %s", who.user_id, body.mode, len(body.words), body.metadata
    )
    return body


def _set_limits(session: Session, user: User, body: UserChanged, now: float) -> None:
    assert body.limits is not None
    value = body.limits.model_dump(exclude_unset=True)
    session.merge(Setting(key=f"limits/{user.id}", value=value, changed_at=now))


def _check_user(studio: Studio, user_id: str) -> None:
    with studio.database.read() as session:
        if not user_id.isalnum() or session.get(User, user_id) is None:
            raise NotFoundError(f"There is no user {user_id[:100]!r}.")


def _user(studio: Studio, user: User) -> UserTold:
    of_role = studio.config.limits.get(user.role, studio.config.limits["viewer"])  # type: ignore[call-overload]
    return UserTold(
        id=user.id,
        name=user.name,
        role=user.role,
        created_at=user.created_at,
        disabled=user.disabled_at is not None,
        limits=asdict(accounts.limits_of(studio.database, user, of_role)),
    )


def _settings(user: User) -> dict[str, bool]:
    return {"train_on_ratings": user.train_on_ratings}


def _key(row: ApiKey) -> KeyTold:
    return KeyTold(
        id=row.id,
        user_id=row.user_id,
        prefix=row.prefix,
        scopes=row.scopes,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )
