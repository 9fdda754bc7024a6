"""Models kept warm, and many requests painted at a time, each at its own step."""

__all__: list[str] = []
