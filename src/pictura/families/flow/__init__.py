"""Rectified-flow image transformer."""
