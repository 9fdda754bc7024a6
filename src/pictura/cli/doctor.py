"""`pictura doctor`: what is installed and found here, with one line of advice for each problem."""

import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from pictura import __version__
from pictura.core.errors import ModelError, PicturaError

LEAST_FREE_GB = 1.0
"""Below this, a training run or a second model may not fit."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    value: str
    advice: str | None = None
    """What to do; None where all is well."""


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check the installation and say what to do about each problem."""
    checks = [*_software(), *_hardware(), *_places(), *_models()]
    problems = [check for check in checks if check.advice]
    if as_json:
        typer.echo(json.dumps({"ok": not problems, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            typer.echo(f"{'!' if check.advice else ' '} {check.name:<{width}}  {check.value}")
            if check.advice:
                typer.echo(f"  {'':<{width}}  -> {check.advice}")
        typer.echo(f"{len(problems)} to look at." if problems else "All is well.")
    if problems:
        raise typer.Exit(1)


def _software() -> Iterator[Check]:
    yield Check("pictura", f"{__version__} in {Path(__file__).resolve().parents[1]}")
    yield Check("python", f"{platform.python_version()} on {platform.platform(terse=True)}")
    packages = _required_packages()
    for name in packages.get("", []):
        found = _version(name)
        yield Check(name, found or "missing", None if found else f"Install it: pip install {name}")
    for extra in ("train", "dev"):
        names = packages.get(extra, [])
        missing = [name for name in names if _version(name) is None]
        if not missing:
            yield Check(f"extra {extra}", "installed")
        elif len(missing) == len(names):
            yield Check(f"extra {extra}", "not installed; painting does not need it")
        else:
            listed = ", ".join(missing)
            yield Check(f"extra {extra}", f"without {listed} (pip install 'pictura[{extra}]' completes it)")


def _required_packages() -> dict[str, list[str]]:
    """Extra ("" for a plain install) to the names of the packages it asks for."""
    packages: dict[str, list[str]] = {}
    for line in importlib.metadata.requires("pictura") or ():
        name = re.split(r"[^\w.-]", line, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"](\w+)['\"]", line)
        if name != "pictura":
            packages.setdefault(extra[1] if extra else "", []).append(name)
    return packages


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _hardware() -> Iterator[Check]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Check("cores", f"{cores} of {os.cpu_count()}; painting tries which number of threads is fastest")
    try:
        import onnxruntime

        yield Check("runtime", ", ".join(onnxruntime.get_available_providers()))
    except ImportError as error:
        yield Check(
            "runtime", f"onnxruntime does not start: {error}", "pip install --force-reinstall onnxruntime"
        )
    gpu, torch = _nvidia_gpu(), _version("torch")
    if gpu is None:
        yield Check("cuda", "no NVIDIA driver found; pictures are painted on the CPU")
    elif torch is None:
        yield Check("cuda", f"{gpu}; used once torch is there: pip install 'pictura[train]'")
    elif "+cpu" in torch:
        advice = "Install a torch build for CUDA: https://pytorch.org/get-started/locally/"
        yield Check("cuda", f"{gpu}, but torch {torch} cannot use it", advice)
    else:
        yield Check("cuda", f"{gpu}, torch {torch}")


def _nvidia_gpu() -> str | None:
    """Name and driver of the first GPU, if the driver is there and answers."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    query = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip().splitlines()[0] if answer.stdout.strip() else None


def _places() -> Iterator[Check]:
    from pictura.store.models import EMBEDDED, home

    yield Check("models looked for", f"{home() / 'models'}, then {EMBEDDED}")
    place = home()
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        yield Check("home", str(home()), "It cannot be written; set PICTURA_HOME to a folder of yours.")
        return
    free_gb = shutil.disk_usage(place).free / 1e9
    advice = "Free some space, or set PICTURA_HOME to a larger disk." if free_gb < LEAST_FREE_GB else None
    yield Check("home", f"{home()}, {free_gb:.1f} GB free", advice)


def _models() -> Iterator[Check]:
    from pictura.store.models import find_models, hidden_models, resolve

    broken: list[ModelError] = []
    for model in find_models(on_broken=broken.append):
        try:
            model.verify()
            yield Check(f"model {model.name}", f"{model.family}, {model.size_mb} MB, intact ({model.path})")
        except ModelError as error:
            yield Check(f"model {model.name}", f"damaged ({model.path})", str(error))
    for unreadable in broken:
        yield Check("model", "unreadable", str(unreadable))
    for sentence in hidden_models():  # perhaps on purpose, so no problem
        yield Check("model hidden", sentence)
    try:
        resolve("default")
    except PicturaError as error:
        yield Check(
            "model default", "cannot be used", f"{error} Reinstall: pip install --force-reinstall pictura"
        )
