"""What people do with pictures that are there: vary, enlarge, paint on, blend, describe."""

from pictura.actions.making import Work, work
from pictura.actions.strengths import resolved

__all__ = ["Work", "resolved", "work"]
