"""The command line: a thin client of the Python interface. One file per command; `app` lists them."""

__all__ = ["main"]


def main() -> None:
    """Run the `pictura` command."""
    from pictura.cli.app import app

    app(prog_name="pictura")
