"""Adversarial training: generators, their discriminators, and rewards as critics beside these."""
