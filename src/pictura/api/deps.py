"""What routes ask for: the studio, who asks, and that they may."""

from typing import Annotated

from fastapi import Depends, Request

from pictura.api.access.accounts import Who
from pictura.api.studio import Studio
from pictura.core.errors import LoginError


def studio(request: Request) -> Studio:
    """What all routes share."""
    found: Studio = request.app.state.studio
    return found


def reader(request: Request) -> Who:
    """Anybody who is known."""
    who: Who | None = getattr(request.state, "who", None)
    if who is None or who.by == "signature":
        raise LoginError("Say who you are: send a key as `Authorization: Bearer pic_…`, or log in.")
    return who


def reader_or_signed(request: Request) -> Who:
    """Anybody who is known, or has a signed address of this very thing."""
    who: Who | None = getattr(request.state, "who", None)
    return reader(request) if who is None else who


def painter(request: Request) -> Who:
    """One who may ask for pictures, and change their own."""
    who = reader(request)
    who.must("generate")
    return who


def rates(request: Request) -> Who:
    """One who may rate, and see and delete what they rated."""
    who = reader(request)
    who.must("rate")
    return who


def admin(request: Request) -> Who:
    """One who may change everything."""
    who = reader(request)
    who.must("admin")
    return who


StudioDep = Annotated[Studio, Depends(studio)]
Reader = Annotated[Who, Depends(reader)]
ReaderOrSigned = Annotated[Who, Depends(reader_or_signed)]
Painter = Annotated[Who, Depends(painter)]
Rates = Annotated[Who, Depends(rates)]
Admin = Annotated[Who, Depends(admin)]
