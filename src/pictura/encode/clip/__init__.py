"""Two towers, one for pictures and one for captions, whose vectors are alike where they belong together."""
