"""What the benchmark scripts share: the machine in words, its matmul peak, tables, and docs/benchmarks.md."""

import datetime
import os
import platform
import re
import resource
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
PACKAGES = ("numpy", "onnxruntime", "torch")


def machine() -> str:
    """CPU model, usable cores, memory, versions, load of the last minute, date: one line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = [f"{name} {found}" for name in PACKAGES if (found := _version(name))]
    load = f"load {os.getloadavg()[0]:.1f} while measured"
    date = datetime.datetime.now(tz=datetime.UTC).date()
    parts = [_cpu_model(), f"{cores} cores", f"{memory_gb:.0f} GB", f"Python {platform.python_version()}"]
    return ", ".join([*parts, *packages, load, str(date)])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def best_seconds(call: Callable[[], object], *, budget_s: float = 5.0, least: int = 3) -> float:
    """Seconds of the fastest call, of at least `least`, more while `budget_s` lasts."""
    times: list[float] = []
    end = time.perf_counter() + budget_s
    while len(times) < least or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def matmul_peak(device: str = "cpu", *, side: int = 2048) -> float:
    """FLOP/s of the best of several square float32 matrix products in torch."""
    import torch

    a = torch.rand(side, side, device=device)

    def product() -> None:
        torch.mm(a, a)
        if device == "cuda":
            torch.cuda.synchronize()

    product()
    return 2 * side**3 / best_seconds(product, budget_s=3.0)


def peak_memory_mb() -> float:
    """Most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def write_section(title: str, text: str, *, page: Path = PAGE) -> None:
    """Put `text` under the heading `title` of a page, in place of what stood there."""
    before = page.read_text() if page.exists() else "# Benchmarks\n"
    sections = re.split(r"(?m)^(?=## )", before)
    section = f"## {title}\n\n{text.strip()}\n\n"
    kept = [part if not part.startswith(f"## {title}\n") else section for part in sections]
    if section not in kept:
        kept = [*kept[:-1], kept[-1].rstrip() + "\n\n", section]
    page.write_text("".join(kept).rstrip() + "\n")
