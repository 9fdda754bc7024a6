"""What can be said of the container files without containers: their commands and variables are ours."""

import json
import re
from pathlib import Path

import typer.main

from pictura.cli import studio as studio_command

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")


def test_the_api_is_started_by_options_that_there_are() -> None:
    api, worker = (json.loads(found) for found in re.findall(r"command: (\[.*\])", COMPOSE))
    app = typer.Typer()
    app.command()(studio_command.command)
    parsed = typer.main.get_command(app).make_context("studio", api[2:]).params
    assert (parsed["host"], parsed["workers"], parsed["admin"]) == ("0.0.0.0", 0, "admin")
    for port in (parsed["port"], parsed["web_port"]):
        assert f"127.0.0.1:{port}:{port}" in COMPOSE
        assert re.search(rf"^EXPOSE .*\b{port}\b", DOCKERFILE, re.MULTILINE)
    assert worker[:3] == ["python", "-m", "pictura.jobs"]
    help_of_worker = (ROOT / "src" / "pictura" / "jobs" / "__main__.py").read_text(encoding="utf-8")
    assert all(f'"{option}"' in help_of_worker for option in worker[3:] if option.startswith("--"))


def test_variables_that_are_set_are_read_somewhere() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    names = set(re.findall(r"^\s*(PICTURA_\w+): ", COMPOSE, re.MULTILINE))
    names |= set(re.findall(r"^ENV (\w+)=", DOCKERFILE, re.MULTILINE))
    assert names == {"PICTURA_ADMIN_PASSWORD", "PICTURA_DATABASE", "PICTURA_FILES", "PICTURA_HOME"}
    assert all(f'"{name}"' in source for name in names)


def test_what_the_image_copies_is_there() -> None:
    for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE):
        assert all((ROOT / name).exists() for name in line.split()[:-1])
