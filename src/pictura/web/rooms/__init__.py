"""The other rooms: gallery, picture, rank, queue, models, settings."""
