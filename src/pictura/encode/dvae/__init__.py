"""DALL-E's discrete VAE: pictures to a small grid of codes, and back."""
