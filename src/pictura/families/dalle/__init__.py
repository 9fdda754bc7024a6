"""DALL-E: a transformer that writes a picture code by code."""
