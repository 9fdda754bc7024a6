"""Reinforcement learning: a painter and a reward in, a painter that earns more of it out."""
