"""What was learnt from ratings: versions that were promoted, with their numbers."""

from fastapi import APIRouter

from pictura.api.deps import Reader
from pictura.api.schemas.learning import LearningTold, VersionTold
from pictura.store.models import ALIASES, default_name
from pictura.store.promoted import read_shelf

router = APIRouter(prefix="/learning", tags=["models and prompts"])


@router.get("")
def get_learning(who: Reader) -> LearningTold:
    """Promoted versions, the newest first, and which of them paints by default."""
    default = default_name()
    return LearningTold(
        default=default,
        base=ALIASES["default"],
        versions=[
            VersionTold(
                name=version.name,
                hash=version.hash,
                base=version.base,
                promoted_at=version.promoted_at,
                is_default=version.name == default,
                numbers=dict(version.numbers),
            )
            for version in reversed(read_shelf().versions)
        ],
    )
