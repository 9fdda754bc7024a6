"""Files: atomic writing, model folders, picture metadata."""
