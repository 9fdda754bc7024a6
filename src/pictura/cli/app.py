"""The `pictura` command: a table of commands that are imported on use, and how their errors are told."""

import errno
import importlib
import json
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from pictura import __version__
from pictura.core.errors import MissingExtraError, PicturaError, StorageError

COMMANDS = {
    "imagine": "Paint pictures of a sentence.",
    "vary": "Paint pictures of the same idea as PICTURE.",
    "upscale": "Make PICTURE 2 or 4 times as large.",
    "zoom": "Paint what is around PICTURE, which stays in the middle.",
    "pan": "Let PICTURE go on towards one side.",
    "blend": "Paint what is between two to five PICTURES.",
    "describe": "Say what PICTURE shows, in four captions.",
    "shorten": "Weigh the words of PROMPT, and leave the lightest out.",
    "interpolate": "Paint a strip that goes from PICTURE to OTHER.",
    "edit": "Change PICTURE towards TEXT.",
    "reconstruct": "Paint PICTURE again, and say how near it comes.",
    "train": "Train a model by RECIPE; run again to go on where it stopped.",
    "learn": "Let a model learn from rewards by RECIPE, or from ratings.",
    "export": "Turn a run into a model folder that paints.",
    "evaluate": "Score models, or anybody's pictures, by what was asked for.",
    "search": "Find pictures in FOLDER by a sentence or by another picture.",
    "models": "List the models that can be used, or take a promotion back.",
    "studio": "Start the studio: jobs, pictures, APIs for people and programs.",
    "data": "Inspect and pack captioned image sets.",
    "doctor": "Check the installation and say what to do about each problem.",
}
"""Name to one-line help. The module `pictura.cli.NAME` holds the command and is imported when it is used."""

_CANNOT_WRITE = {
    errno.EACCES: "permission denied",
    errno.EDQUOT: "the disk quota is used up",
    errno.EEXIST: "a file of that name is in the way",
    errno.EFBIG: "the file would be too large",
    errno.EISDIR: "it is a folder",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOSPC: "the disk is full",
    errno.ENOTDIR: "a part of the path is a file",
    errno.EPERM: "permission denied",
    errno.EROFS: "the disk is read-only",
}
_ONLY_WRITING = {errno.EDQUOT, errno.EEXIST, errno.EFBIG, errno.ENOSPC, errno.EROFS}
"""What reading never ends in; by the others nobody can tell."""
_TRAIN_EXTRA = {"matplotlib", "onnx", "onnxscript", "pyarrow", "tensorboard", "torch", "webdataset"}
# The base of every complaint about the command line itself; typer does not name it.
_UsageError: Any = typer.BadParameter.__base__


class LazyGroup(TyperGroup):
    """A group whose commands are known by name and help, and imported when one is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._wants_json = False
        for name, text in COMMANDS.items():
            self.add_command(TyperCommand(name=name, help=text))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Note whether the caller is a program, then parse as usual."""
        self._wants_json = "--json" in args
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that `args` begins with, and import it."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, load_command(str(name)), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what it raises for people becomes one sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except PicturaError as error:
            raise self._tell(error) from error
        except OSError as error:
            if error.errno not in _CANNOT_WRITE:
                raise
            where = error.filename or "the output"
            why = _CANNOT_WRITE[error.errno]
            verb = "write" if error.errno in _ONLY_WRITING else "open"
            raise self._tell(StorageError(f"Cannot {verb} {where}: {why}.")) from error
        except ModuleNotFoundError as error:
            if str(error.name).split(".")[0] not in _TRAIN_EXTRA:
                raise
            message = f"This command needs {error.name}, which is not installed: pip install 'pictura[train]'"
            raise self._tell(MissingExtraError(message)) from error
        except _UsageError as error:
            if not self._wants_json:
                raise
            _print_json("bad_usage", error.format_message())
            raise typer.Exit(error.exit_code) from error

    def _tell(self, error: PicturaError) -> typer.Exit:
        if self._wants_json:
            _print_json(error.code, str(error))
        else:
            typer.echo(f"Error: {error}", err=True)
        return typer.Exit(error.exit_code)


def load_command(name: str) -> Any:
    """Import the command `name`: a function `command`, or an `app` with commands of its own."""
    module = importlib.import_module(f"pictura.cli.{name}")
    if hasattr(module, "app"):
        return typer.main.get_command(module.app)
    single = typer.Typer(add_completion=False)
    single.command(name)(module.command)
    return typer.main.get_command(single)


def _print_json(code: str, message: str) -> None:
    typer.echo(json.dumps({"error": code, "message": message}))


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def pictura(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Write a sentence, get pictures. Each command has its own --help."""
