"""Supervised training, checkpoints and export."""
