"""`pictura imagine`: a sentence in; picture files, a grid and what made them out."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pictura.core.errors import ConfigError, PromptError, SizeError, StorageError
from pictura.prompt import MAX_JOBS, ParsedPrompt, jobs, parse, to_text
from pictura.prompt import choices as choices_of
from pictura.prompt import strength as strength_of
from pictura.prompt.parameters import MAX_SEED
from pictura.store.atomic import scratch_folder
from pictura.store.models import AS_LEARNT, resolve

if TYPE_CHECKING:
    from PIL.Image import Image

    from pictura.api.client import RunningStudio
    from pictura.pipeline import Painter, Picture

Format = Literal["png", "webp", "jpeg"]
Device = Literal["auto", "cpu", "cuda"]
OnStep = Callable[[int, int], None]
Painted = tuple[list["Picture"], dict[str, "Image"], list[str]]
"""Pictures, sheets by name, and what a person should know."""
_SUFFIX = {"png": ".png", "webp": ".webp", "jpeg": ".jpg"}
_LONGEST_SLUG = 48


def command(
    prompt: Annotated[
        str | None, typer.Argument(help="What to paint, in English; parameters such as --ar 3:2 inside it.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A name from `pictura models`, or a model folder. [default: default]")
    ] = None,
    device: Annotated[Device, typer.Option(help="What computes.")] = "auto",
    num_images: Annotated[
        int | None, typer.Option("--n", min=1, max=64, help="How many pictures. [default: 4]")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Omit to draw one; it is printed.")
    ] = None,
    num_steps: Annotated[int | None, typer.Option("--steps", min=1, max=1000, help="Network steps.")] = None,
    guidance_scale: Annotated[
        float | None,
        typer.Option("--guidance", min=0, max=50, help="How closely to follow the prompt; 1 is off."),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=10,
            help="Of models that paint by tokens: 0 takes the likeliest, 1 draws as it guesses.",
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(min=0, help="Of models that paint by tokens: draw among so many likeliest; 0 is all."),
    ] = None,
    candidates: Annotated[
        int | None,
        typer.Option(min=1, max=128, help="Paint so many and keep the --n best, judged by clip-guide."),
    ] = None,
    complete: Annotated[
        Path | None,
        typer.Option(help="Of models that paint by tokens: keep the top of this picture, paint the rest."),
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=1, help="With --complete: how many rows of its pixels are kept.")
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(
            min=0, max=200, help="How much of what it learnt beside its base: 0 is the base. [default: 100]"
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Of the files: WIDTHxHEIGHT in pixels, or one side.")
    ] = None,
    enlarge: Annotated[
        Literal["learnt", "lanczos"] | None,
        typer.Option(help="How pictures that are painted smaller become so large. [default: learnt]"),
    ] = None,
    as_written: Annotated[bool, typer.Option("--as-written", help="Read unknown words as they are.")] = False,
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("pictures"),
    format_: Annotated[Format, typer.Option("--format", help="File format; jpeg is laid on white.")] = "png",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    no_grid: Annotated[bool, typer.Option("--no-grid", help="Write no grid.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="One more picture: where the model looked for each word.")
    ] = False,
    again: Annotated[
        Path | None, typer.Option("--from", help="Paint again what this picture's metadata says.")
    ] = None,
    max_jobs: Annotated[
        int, typer.Option(min=1, help="Most jobs that braces and --repeat in the prompt may ask for.")
    ] = MAX_JOBS,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the prompt asks for, and paint nothing.")
    ] = False,
    local: Annotated[
        bool, typer.Option("--local", help="Paint here, even where a studio runs that could paint.")
    ] = False,
) -> None:
    """Paint pictures of a sentence."""
    choices: dict[str, Any] = {
        "num_images": num_images,
        "num_steps": num_steps,
        "guidance_scale": guidance_scale,
        "temperature": temperature,
        "top_k": top_k,
        "candidates": candidates,
        "size": None if size is None else parse_size(size),
        "enlarge": enlarge,
        "rows": rows,
        "read_as": () if as_written else None,
    }
    chosen = {name: value for name, value in choices.items() if value is not None}
    if (prompt is None) == (again is None):
        raise PromptError("`pictura imagine` needs a PROMPT, or --from PICTURE; it got neither or both.")
    others = (complete, model, strength)
    if again is not None and (chosen or seed is not None or any(one is not None for one in others)):
        raise ConfigError("--from paints with the settings of that picture; leave the other settings out.")
    if (complete is None) != (rows is None):
        raise ConfigError("--complete PICTURE and --rows N, how much of it is kept, go together; got one.")

    here = local or explain or as_written or device != "auto" or (complete or again) is not None
    easel = _Easel(
        model=model, device=device, strength=strength, chosen=chosen, complete=complete, local=here
    )
    planned = [] if prompt is None else _planned(parse(prompt, max_jobs=max_jobs), seed)
    if dry_run:
        _tell_plan(planned, num_images or 4, as_json=as_json)
        return
    for job, _ in planned:
        easel.needs(job)  # all are refused before the first is painted
    if len(planned) > 1 and not as_json:
        typer.echo(_plan(len(planned), num_images or 4), err=True)
    works = (
        [partial(easel.again, again, explain)]
        if again
        else [partial(easel.paint, *one, explain) for one in planned]
    )
    results = []
    for work in works:
        start = time.perf_counter()
        with output_folder(out) as folder:
            with _progress() as on_step:
                pictures, sheets, notices = work(on_step)
            if no_grid:
                sheets.pop("grid", None)
            stem = free_stem(out, f"{slug(pictures[0].prompt)}-{pictures[0].seed}")
            names = _write(pictures, sheets, folder / stem, format_)
        results.append(_describe(pictures, names, out, time.perf_counter() - start, notices))
        if not as_json:
            _tell(results[-1])
    if as_json:
        typer.echo(json.dumps(results[0] if len(results) == 1 else {"jobs": results}))


class _Easel:
    """Paints one job after another; a model stays loaded for as long as they ask for the same one."""

    def __init__(
        self,
        *,
        model: str | None,
        device: Device,
        strength: float | None,
        chosen: Mapping[str, Any],
        complete: Path | None,
        local: bool,
    ) -> None:
        """Keep what is chosen beside the prompt; look for a studio that can paint it."""
        self._model, self._device, self._strength = model, device, strength
        self._chosen, self._complete = chosen, complete
        self._studio = None if local else _studio_for(model)
        self._loaded: tuple[tuple[str, float], Painter] | None = None

    def paint(self, job: ParsedPrompt, seed: int | None, explain: bool, on_step: OnStep) -> Painted:
        """Pictures of a job, sheets of them, and what a person should know."""
        from pictura import grid
        from pictura.data.guard import decode, read_file

        if self._studio is not None:
            pictures = self._studio.paint(self._asked(job, seed), on_step)
            sheets = {"grid": grid(pictures)} if len(pictures) > 1 else {}
            return pictures, sheets, list(pictures[0].notices)
        painter = self._painter(job)
        if explain:
            painter.model.check_attention()
        chosen = self._chosen if seed is None else {**self._chosen, "seed": seed}
        if self._complete is None:
            pictures = painter.paint(job, on_step=on_step, **chosen)
        else:
            picture = decode(read_file(self._complete), str(self._complete))
            pictures = painter.complete(picture, job, on_step=on_step, **chosen)
        sheets = {"explain": painter.explain(pictures[0])} if explain else {}
        if len(pictures) > 1:
            sheets["grid"] = grid(pictures)
        written = "read_as" in self._chosen
        return pictures, sheets, [*painter.notices(job, as_written=written), *pictures[0].notices]

    def again(self, path: Path, explain: bool, on_step: OnStep) -> Painted:
        """The same of a picture that is painted again."""
        from pictura import load, repaint

        picture = repaint(str(path), device=self._device, on_step=on_step)
        sheets = {"explain": load(picture.model, device=self._device).explain(picture)} if explain else {}
        return [picture], sheets, list(picture.notices)

    def _asked(self, job: ParsedPrompt, seed: int | None) -> dict[str, Any]:
        """A job as a studio takes it."""
        beside = {"model": self._model, "strength": self._strength, "seed": seed}
        given = {name: value for name, value in beside.items() if value is not None}
        return {"prompt": to_text(job), **self._chosen, **given}

    def _painter(self, job: ParsedPrompt) -> "Painter":
        from pictura import load  # heavy: numpy, onnxruntime

        key = self.needs(job)
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = (key, load(key[0], device=self._device, strength=key[1]))
        return self._loaded[1]

    def needs(self, job: ParsedPrompt) -> tuple[str, float]:
        """The model that a job asks for, and its strength; what the model cannot do is refused."""
        named = job.parameters.model
        if named is not None and self._model is not None:
            raise ConfigError("The model is chosen in the prompt and by --model. Leave one of the two out.")
        name = named or self._model or "default"
        choices_of(job, resolve(name))
        asked = strength_of(job, resolve(name))
        if asked is not None and self._strength is not None:
            raise ConfigError("--stylize and --raw choose the strength, and --strength does. Leave one out.")
        return name, next((one for one in (asked, self._strength) if one is not None), AS_LEARNT)


def _studio_for(model: str | None) -> "RunningStudio | None":
    """A running studio that knows the model: by name, for a folder may be one of this machine's secrets."""
    from pictura.api.client import find_studio

    return None if model is not None and Path(model).name != model else find_studio()


def _planned(prompts: Sequence[ParsedPrompt], seed: int | None) -> list[tuple[ParsedPrompt, int | None]]:
    """Every job, with the seed that is chosen beside the prompt: repeats count up from it."""
    return [
        (job, None if seed is None else (seed + i) % (MAX_SEED + 1))
        for one in prompts
        for i, job in enumerate(jobs(one))
    ]


def _plan(num_jobs: int, num_images: int) -> str:
    return f"{num_jobs} jobs, {num_jobs * num_images} pictures."


def _tell_plan(planned: Sequence[tuple[ParsedPrompt, int | None]], num_images: int, *, as_json: bool) -> None:
    """Say what would be painted: how many jobs, then one a line."""
    lines = [to_text(job) for job, _ in planned]
    if as_json:
        typer.echo(json.dumps({"num_jobs": len(lines), "jobs": lines}))
    else:
        typer.echo("\n".join([_plan(len(lines), num_images), *lines]))


def parse_size(text: str) -> tuple[int, int]:
    """Read ``320x240`` or ``256`` as (width, height) in pixels.

    Raises:
        SizeError: `text` is neither.
    """
    match = re.fullmatch(r"(\d{1,6})(?:[xX×](\d{1,6}))?", text.strip())
    if not match:
        raise SizeError(
            f"--size is WIDTHxHEIGHT or one side in pixels, such as 320x240 or 256; got {text!r}."
        )
    width, height = match[1], match[2] or match[1]
    return int(width), int(height)


def slug(prompt: str) -> str:
    """Make a short file name of a prompt: lower-case letters and digits joined by hyphens."""
    words = re.findall(r"[^\W_]+", prompt.lower())
    name = "-".join(words).encode("ascii", "ignore").decode().strip("-")
    if len(name) > _LONGEST_SLUG:
        name = name[: _LONGEST_SLUG + 1].rpartition("-")[0] or name[:_LONGEST_SLUG]
    return name or "picture"


def free_stem(folder: Path, stem: str) -> str:
    """`stem`, or the first of ``stem-run2``, ``stem-run3``, … of which `folder` holds no file yet."""
    names = [path.stem for path in folder.iterdir()] if folder.is_dir() else []
    number, candidate = 1, stem
    while any(re.fullmatch(re.escape(candidate) + r"-(\d+|grid)", name) for name in names):
        number += 1
        candidate = f"{stem}-run{number}"
    return candidate


@contextmanager
def output_folder(out: Path) -> Iterator[Path]:
    """A folder to write into, whose files reach `out` together at the end or, after an error, not at all."""
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with scratch_folder(out) as folder:
            yield folder
            for path in sorted(folder.iterdir()):
                path.replace(out / path.name)
    except StorageError as error:
        # A person knows the file by where it was to be in the end.
        raise StorageError(str(error).replace(f"{folder.name}{os.sep}", "")) from error
    finally:
        for parent in made:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()


def _write(
    pictures: Sequence["Picture"], sheets: Mapping[str, "Image"], stem: Path, format_: Format
) -> dict[str, str]:
    """Write every picture and every sheet; return what each is (a number or a name) and its file name."""
    names = {}
    for one in pictures:
        names[str(one.index + 1)] = f"{stem.name}-{one.index + 1}{_SUFFIX[format_]}"
        one.save(stem.with_name(names[str(one.index + 1)]), format=format_)
    for kind, sheet in sheets.items():
        names[kind] = f"{stem.name}-{kind}{_SUFFIX[format_]}"
        sheet.save(stem.with_name(names[kind]), format=format_)
    return names


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr if a person watches; yields what to call with (done, total)."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("opening the model", total=None)

        def on_step(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description="painting")

        yield on_step


def _describe(
    pictures: Sequence["Picture"],
    names: Mapping[str, str],
    out: Path,
    elapsed_s: float,
    notices: Sequence[str],
) -> dict[str, Any]:
    first = pictures[0]
    paths = {kind: str(out / name) for kind, name in names.items()}
    return {
        "prompt": first.prompt,
        "seed": first.seed,
        "model": first.model,
        "settings": first.settings,
        "pictures": [path for kind, path in paths.items() if kind.isdigit()],
        "grid": paths.get("grid"),
        "explain": paths.get("explain"),
        "elapsed_s": round(elapsed_s, 2),
        "notices": list(notices),
    }


def _tell(result: dict[str, Any]) -> None:
    """Tell a person: notices on stderr, then one path a line, then seed, seconds and scaling."""
    for notice in result["notices"]:
        typer.echo(f"Note: {notice}", err=True)
    paths = [*result["pictures"], *(result[kind] for kind in ("grid", "explain") if result[kind])]
    settings = result["settings"]
    facts = [f"seed {result['seed']}", f"{result['elapsed_s']:.1f} s", f"model {result['model']}"]
    if settings.get("strength", AS_LEARNT) != AS_LEARNT:
        facts.append(f"strength {settings['strength']:g}")
    if "student" in settings:
        facts.append("by its student")
    if "candidates" in settings:
        facts.append(f"best of {settings['candidates']} by {settings['scored_by'].split()[0]}")
    if settings.get("painted_size") != settings.get("size"):
        facts.append("painted at {}x{}, scaled to {}x{}".format(*settings["painted_size"], *settings["size"]))
    typer.echo("\n".join([*paths, " · ".join(facts)]))
