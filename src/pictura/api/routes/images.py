"""Pictures: find them, fetch their files, hide them and bring them back."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response

from pictura.api.access.accounts import Who
from pictura.api.asking.search import Search
from pictura.api.deps import Painter, Reader, ReaderOrSigned, StudioDep
from pictura.api.routes.jobs import Cursor, Limit
from pictura.api.schemas.native import PAGE, ImageChanged, ImagePage, ImageTold
from pictura.api.schemas.ratings import FacetsTold, FacetTold
from pictura.api.studio import Studio
from pictura.api.telling import pictures, reading
from pictura.api.telling.pictures import Background, Format
from pictura.store.gallery import delete_image, restore_image
from pictura.store.search import facets
from pictura.store.tables import Image

router = APIRouter(prefix="/images", tags=["images"])
_FOREVER = "private, max-age=31536000, immutable"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": dict.fromkeys(pictures.MEDIA.values(), _BINARY), "description": "The file."},
    304: {"description": "The client has it."},
}
_THUMB: dict[int | str, dict[str, Any]] = {200: {"content": {"image/webp": _BINARY}}, 304: _FILE[304]}
IfNoneMatch = Annotated[str | None, Header()]


@router.get("")
def list_images(
    studio: StudioDep,
    who: Reader,
    search: Annotated[Search, Depends()],
    limit: Limit = PAGE,
    cursor: Cursor = None,
    everybody: Annotated[bool, Query(description="Of administrators: all users' pictures.")] = False,
) -> ImagePage:
    """Pictures, those of the newest job first; all filters that are given must hold."""
    wanted = search.wanted(who)
    items, after = reading.images_page(
        studio.database, who, wanted, limit=limit, cursor=cursor, everybody=everybody
    )
    return ImagePage(items=items, next_cursor=after)


@router.get("/facets")
def list_facets(studio: StudioDep, who: Reader) -> FacetsTold:
    """The models and kinds of one's own pictures, with how many there are."""
    found = facets(studio.database, who.user_id)
    return FacetsTold(
        **{name: [FacetTold(name=one.name, count=one.count) for one in of] for name, of in found.items()}
    )


@router.get("/{image_id}")
def get_image(image_id: str, studio: StudioDep, who: Reader) -> ImageTold:
    """One picture and how it was painted."""
    image = reading.image_for(studio.database, image_id, who)
    return reading.images_told(studio.database, who, [image])[0]


@router.get("/{image_id}/file", response_class=Response, responses=_FILE)
def get_file(
    image_id: str,
    studio: StudioDep,
    who: ReaderOrSigned,
    format: Annotated[Format | None, Query(description="As stored unless given.")] = None,  # noqa: A002
    background: Background = "auto",
    download: Annotated[bool, Query(description="To be kept: as an attachment, and remembered.")] = False,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The file of a picture. It never changes, so that it may be kept for ever."""
    if format is not None:
        pictures.check_background(format, background)
    image = reading.image_for(studio.database, image_id, who)
    metadata = studio.policy.get().metadata
    tag = f'"{image.sha256[:32]}-{format or ""}-{background}-{int(metadata)}"'
    if studio.signer:
        tag = f'W/{tag[:-1]}-signed"'  # each signature is another one
    if if_none_match == tag:
        return Response(status_code=304, headers=_kept(tag))
    data, media = pictures.delivered(studio, image, format=format, background=background)
    name = f"pictura-{image.id}.{media.rpartition('/')[2]}"
    if download and who.user_id:
        studio.ratings.record(who, "download", image.id)
    more = {"Content-Disposition": f'{"attachment" if download else "inline"}; filename="{name}"'}
    return Response(data, media_type=media, headers={**_kept(tag), **more})


@router.get("/{image_id}/thumb", response_class=Response, responses=_THUMB)
def get_thumb(image_id: str, studio: StudioDep, who: Reader, if_none_match: IfNoneMatch = None) -> Response:
    """A small WebP of a picture."""
    image = reading.image_for(studio.database, image_id, who)
    tag = f'"{image.sha256[:32]}-thumb"'
    if if_none_match == tag:
        return Response(status_code=304, headers=_kept(tag))
    return Response(studio.files.read(image.thumb_path), media_type="image/webp", headers=_kept(tag))


@router.patch("/{image_id}")
def change_image(image_id: str, body: ImageChanged, studio: StudioDep, who: Painter) -> ImageTold:
    """Make a picture of yours public, or private again."""
    mine = _mine(studio, image_id, who)
    with studio.database.write() as session:
        image = session.get_one(Image, mine.id)
        image.visibility = body.visibility
    return reading.images_told(studio.database, who, [image])[0]


@router.delete("/{image_id}")
def remove_image(image_id: str, studio: StudioDep, who: Painter) -> ImageTold:
    """Take a picture out of sight; for 30 days it can be restored."""
    seen = reading.image_for(studio.database, image_id, who)
    image = delete_image(studio.database, image_id, who.whose)
    if seen.deleted_at is None:
        studio.ratings.record(who, "delete", image.id)
    return reading.images_told(studio.database, who, [image])[0]


@router.post("/{image_id}/restore")
def bring_back_image(image_id: str, studio: StudioDep, who: Painter) -> ImageTold:
    """Undo a deletion."""
    image = restore_image(studio.database, image_id, who.whose)
    return reading.images_told(studio.database, who, [image])[0]


def _mine(studio: Studio, image_id: str, who: Who) -> Image:
    image = reading.image_for(studio.database, image_id, who)
    studio.queue.get(image.job_id, who.whose)
    return image


def _kept(tag: str) -> dict[str, str]:
    return {"Cache-Control": _FOREVER, "ETag": tag}
