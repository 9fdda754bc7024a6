"""The prompt language: a line of text in, frozen requests out. No model, no torch, no numpy."""

from pictura.prompt.errors import PromptSyntaxError
from pictura.prompt.grammar import MAX_JOBS, count, num_jobs, parse
from pictura.prompt.meaning import choices, jobs, strength
from pictura.prompt.parameters import PARAMETERS, Parameters
from pictura.prompt.printing import to_text
from pictura.prompt.request import ParsedPrompt, Part

__all__ = [
    "MAX_JOBS",
    "PARAMETERS",
    "Parameters",
    "ParsedPrompt",
    "Part",
    "PromptSyntaxError",
    "choices",
    "count",
    "jobs",
    "num_jobs",
    "parse",
    "strength",
    "to_text",
]
