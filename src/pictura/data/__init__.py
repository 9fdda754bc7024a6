"""Captioned image sets in, batches out."""
