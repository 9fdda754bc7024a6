"""`GET /learning` tells what was promoted, and the models' list follows."""

from pathlib import Path

import pytest

from pictura.store.models import read_model
from pictura.store.promoted import Version, promote, roll_back
from tests.api.api_kit import app_client, make_home
from tests.tiny_model import make_learnt


def test_promoted_versions_are_told_and_default_follows_them(
    tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home(tmp_path / "home", tiny_home)
    monkeypatch.setenv("PICTURA_HOME", str(home))
    learnt = make_learnt(read_model(home / "models" / "flow"), tmp_path / "candidate")
    with app_client(tmp_path) as client:

        def default_in_list() -> list[str]:
            items = client.get("/api/v1/models").json()["items"]
            return [model["name"] for model in items if model["is_default"]]

        def model_of_new_job() -> str:
            job = client.post("/api/v1/jobs", json={"prompt": "a red fox"}).json()["jobs"][0]
            return str(job["model"])

        assert client.get("/api/v1/learning").json() == {"default": "flow", "base": "flow", "versions": []}
        assert (default_in_list(), model_of_new_job()) == (["flow"], "flow")
        for number in (1, 2):
            version = Version(
                name=f"flow-rated-{number}",
                hash=learnt.hash,
                base="flow",
                promoted_at=float(number),
                numbers={"pairs": 200, "wins": [0.7, 0.6, 0.8]},
            )
            promote(learnt.path, version, as_default=True)
            assert model_of_new_job() == f"flow-rated-{number}", "at once, whatever was read a moment ago"
        told = client.get("/api/v1/learning").json()
        assert (told["default"], told["base"]) == ("flow-rated-2", "flow")
        assert [(one["name"], one["is_default"]) for one in told["versions"]] == [
            ("flow-rated-2", True),
            ("flow-rated-1", False),
        ]
        assert told["versions"][0]["numbers"] == {"pairs": 200, "wins": [0.7, 0.6, 0.8]}
        roll_back("flow", base="flow")
        assert model_of_new_job() == "flow"
        assert client.get("/api/v1/learning").json()["default"] == "flow"
