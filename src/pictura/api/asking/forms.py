"""Multipart forms that bring pictures, read once it is known who sends them."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from pictura.api.schemas.openai import EditAsked, VariationAsked

Form = Mapping[str, list[bytes]]
"""Name of a field to the files that came in it."""
Body = TypeVar("Body", bound=BaseModel)
_MOST_FILES, _MOST_FIELDS, _FIELD_BYTES = 17, 40, 64 * 1024


@asynccontextmanager
async def read_form(
    request: Request, kind: type[Body], files: tuple[str, ...]
) -> AsyncIterator[tuple[Body, Form]]:
    """Read a form.

    Args:
        request: that brings it.
        kind: of its other fields.
        files: names of the fields that hold pictures; the first must be there. ``NAME[]`` counts as NAME.

    Yields:
        The fields, and the pictures' bytes.

    Raises:
        RequestValidationError: fields are missing or wrong.
    """
    found, fields = defaultdict[str, list[bytes]](list), dict[str, Any]()
    async with request.form(
        max_files=_MOST_FILES, max_fields=_MOST_FIELDS, max_part_size=_FIELD_BYTES
    ) as form:
        for name, value in form.multi_items():
            plain = name.removesuffix("[]")
            if isinstance(value, UploadFile):
                found[plain].append(await value.read())
            elif plain not in files:
                fields[plain] = value
    wrong = [] if found.get(files[0]) else [_mistake(files[0], "a picture must be sent as a file")]
    wrong += [_mistake(name, "no file belongs here") for name in found if name not in files]
    try:
        body = kind.model_validate(fields)
    except ValidationError as error:
        wrong += [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_input=False)]
    if wrong:
        raise RequestValidationError(wrong)
    yield body, found


def _mistake(name: str, sentence: str) -> dict[str, Any]:
    return {"type": "value_error", "loc": ("body", name), "msg": sentence}


def _described(kind: type[BaseModel], *files: str) -> dict[str, Any]:
    """For the OpenAPI document."""
    schema = kind.model_json_schema()
    for name in files:
        schema["properties"][name] = {"type": "string", "format": "binary"}
    schema["required"] = [*schema.get("required", ()), files[0]]
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


EDIT_FORM = _described(EditAsked, "image", "mask")
VARIATION_FORM = _described(VariationAsked, "image")
