"""Where the judges are: a letter in, a judge with its weights out.

Judge A lies among the models, for rewards may use it. Judge B lies in this package, which nothing that learns
may import: no training and no reward ever sees it.
"""

from pathlib import Path

from pictura.core.errors import ConfigError
from pictura.encode.judges.judge import DetectorJudge, InquirerJudge, judge_of
from pictura.store.models import EMBEDDED, read_model

NETS = Path(__file__).resolve().parent / "nets"
"""Model folders that only evaluation reads."""
FOLDERS = {"a": EMBEDDED / "judge-a", "b": NETS / "judge-b"}


def load_judge(letter: str, *, device: str = "cpu") -> DetectorJudge | InquirerJudge:
    """Judge ``a`` or ``b``.

    Raises:
        ConfigError: there is no such judge.
        ModelError: its folder is damaged.
    """
    if letter not in FOLDERS:
        raise ConfigError(f"The judges are 'a' and 'b'; got {letter!r}.")
    return read_judge(FOLDERS[letter], device=device)


def read_judge(folder: Path, *, device: str = "cpu") -> DetectorJudge | InquirerJudge:
    """The judge of a model folder.

    Raises:
        ModelError: the folder is damaged or holds none.
    """
    return judge_of(read_model(folder), device=device)
