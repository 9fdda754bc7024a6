"""What people look at after a run of learning: its folder in, one page out."""

from pictura.learn.report.page import write_report

__all__ = ["write_report"]
