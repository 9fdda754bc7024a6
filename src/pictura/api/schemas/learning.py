"""What the native API tells of learning from ratings, as JSON."""

from typing import Any

from pydantic import BaseModel, Field


class VersionTold(BaseModel):
    """A version that was promoted."""

    name: str
    hash: str
    base: str = Field(description="The model that it learnt on.")
    promoted_at: float = Field(description="Seconds since 1970.")
    is_default: bool
    numbers: dict[str, Any] = Field(
        description="pairs, prompts, raters, raters_left_out; accuracy and wins as [value, low, high]; "
        "glyphbench with before, after, difference [value, low, high], num_prompts, num_pictures; diversity."
    )


class LearningTold(BaseModel):
    """What was learnt from ratings here, and what paints now."""

    default: str = Field(description="The model that `default` stands for.")
    base: str = Field(description="The model that it stands for where nothing is promoted.")
    versions: list[VersionTold] = Field(description="Those that are kept, the newest first.")
