"""From people's ratings to a better model: checks, heads, learning, a gate. Begin with `study.py`."""
