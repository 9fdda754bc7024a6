"""Solvers and schedules that turn predictions into pictures, on any array API arrays."""
