"""unCLIP (DALL-E 2): a picture imagined in the space of a CLIP, then painted and enlarged by diffusion."""
