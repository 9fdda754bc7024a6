"""Pictures composed of glyphs, with exact truth."""
