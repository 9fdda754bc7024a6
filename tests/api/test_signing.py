"""Files that leave the studio are signed, last of all, and one changed byte is found out."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import c2pa
import pytest
from fastapi.testclient import TestClient

from pictura.api.config import ApiConfig
from pictura.api.telling.signing import Signer, verified
from pictura.core.errors import ConfigError
from pictura.jobs.values import JobRequest
from pictura.store.metadata import read_metadata
from pictura.store.tables import Image
from tests.api.api_kit import app_client, png, studio_of

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
MIXED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
DETAILS: dict[str, Any] = {
    "prompt": "a secret fox",
    "seed": 1,
    "index": 0,
    "settings": {"num_steps": 1, "solver": "ab2", "guidance_scale": 1, "size": [64, 64]},
    "model": "m",
    "model_hash": "0" * 20,
    "version": "0",
}
MEDIA = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
PIXELS = {"png": -20, "jpeg": -20, "webp": 44}
"""Where a byte is one of the picture's own."""
LEAF = (
    "basicConstraints=critical,CA:FALSE",
    "keyUsage=critical,digitalSignature",
    "extendedKeyUsage=emailProtection",
)


def certificate(folder: Path, name: str, *, extensions: tuple[str, ...] = LEAF) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key."""
    made = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "30", "-subj", f"/O={name}/CN={name}", "-out", str(made[0]), "-keyout", str(made[1])]
    for extension in extensions:
        command += ["-addext", extension]
    subprocess.run(command, check=True, capture_output=True)
    return made


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("signing"), "ours")


@pytest.fixture
def client(tmp_path: Path, ours: tuple[Path, Path]) -> Iterator[TestClient]:
    with app_client(tmp_path, c2pa_certificate=str(ours[0]), c2pa_key=str(ours[1])) as client:
        yield client


def paint(client: TestClient, details: dict[str, Any] = DETAILS, **request: Any) -> Image:
    """A picture in the studio, painted by a job that brought or names others."""
    studio = studio_of(client)
    assert studio.local
    studio.queue.submit(JobRequest(num_images=1, **request), studio.local.user_id)
    [claim] = studio.queue.claim("worker", 1)
    return studio.queue.commit_image(claim, 0, png(), details)


def manifest(data: bytes, format_: str) -> dict[str, Any]:
    with c2pa.Reader(MEDIA[format_], io.BytesIO(data)) as reader:
        found: dict[str, Any] = reader.get_active_manifest() or {}
        return found


def actions(data: bytes, format_: str = "png") -> list[tuple[str, str | None]]:
    (said,) = (
        one for one in manifest(data, format_)["assertions"] if one["label"].startswith("c2pa.actions")
    )
    return [(action["action"], action.get("digitalSourceType")) for action in said["data"]["actions"]]


@pytest.mark.parametrize("format_", ["png", "jpeg", "webp"])
def test_a_file_says_that_a_model_made_it_and_any_change_is_found(client: TestClient, format_: str) -> None:
    image = paint(client)
    answer = client.get(f"/api/v1/images/{image.id}/file", params={"format": format_})
    data = answer.content
    assert verified(data, MEDIA[format_]) == ("Valid", ["signingCredential.untrusted"])
    assert actions(data, format_) == [("c2pa.created", TRAINED)]
    assert "secret" not in json.dumps(manifest(data, format_))
    changed = bytearray(data)
    changed[PIXELS[format_]] ^= 1
    state, wrong = verified(bytes(changed), MEDIA[format_])
    assert state == "Invalid"
    assert "assertion.dataHash.mismatch" in wrong


def test_what_is_stored_and_what_it_says_stay_as_they_were(client: TestClient, tmp_path: Path) -> None:
    image = paint(client)
    answer = client.get(f"/api/v1/images/{image.id}/file", params={"format": "png", "background": "opaque"})
    (tmp_path / "a.png").write_bytes(answer.content)
    assert read_metadata(tmp_path / "a.png") == DETAILS
    assert studio_of(client).files.read(image.path) == png()
    tag = answer.headers["etag"]
    assert tag.startswith('W/"')
    path = f"/api/v1/images/{image.id}/file?format=png&background=opaque"
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_a_changed_picture_names_its_parent_without_showing_it(client: TestClient) -> None:
    first = paint(client)
    given = {**DETAILS["settings"], "from_picture": "ab"}
    upload = paint(
        client, {**DETAILS, "settings": given}, uploads={"image": png(colour="blue"), "mask": png()}
    )
    origin = {"action": "vary", "source_image_ids": [first.id]}
    varied = paint(
        client,
        {**DETAILS, "settings": given, "origin": origin},
        request={"pictures": {"image": first.path}},
    )
    for image, word, name in ((upload, MIXED, "a picture that was sent"), (varied, TRAINED, first.id)):
        data = client.get(f"/api/v1/images/{image.id}/file").content
        assert verified(data, "image/png")[0] == "Valid"
        assert actions(data) == [("c2pa.opened", None), ("c2pa.edited", word)]
        (parent,) = manifest(data, "png")["ingredients"]
        assert (parent["relationship"], parent["title"]) == ("parentOf", name)
        assert "thumbnail" not in parent


def test_many_files_are_signed_at_once(ours: tuple[Path, Path]) -> None:
    signer = Signer(*ours)
    with ThreadPoolExecutor(4) as pool:
        signed = list(pool.map(lambda _: signer.signed(png(), "image/png", TRAINED), range(12)))
    assert [verified(data, "image/png")[0] for data in signed] == ["Valid"] * 12


def test_what_cannot_sign_is_refused_in_one_sentence(tmp_path: Path, ours: tuple[Path, Path]) -> None:
    other = certificate(tmp_path, "other")
    no_leaf = certificate(tmp_path, "authority", extensions=("keyUsage=critical,keyCertSign",))
    text = tmp_path / "text"
    text.write_text("no certificate")
    for pair, said in (
        ((ours[0], other[1]), "cannot sign pictures: .*does not match.* Give a certificate"),
        (no_leaf, "cannot sign pictures: .* Give a certificate"),
        ((text, ours[1]), "cannot sign pictures: .* Give a certificate"),
        ((ours[0], text), "holds no private key in PEM without a password"),
        ((tmp_path / "none", ours[1]), r"certificate for signing cannot be read .*No such file"),
    ):
        with pytest.raises(ConfigError, match=said) as caught:
            Signer(*pair)
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"got a certificate alone\. Give its key"):
        ApiConfig(c2pa_certificate="a")


def test_the_studio_does_not_start_with_a_key_that_does_not_belong(
    tmp_path: Path, ours: tuple[Path, Path]
) -> None:
    other = certificate(tmp_path, "other")
    command = [sys.executable, "-m", "pictura.cli", "studio", "--port", "0", "--no-browser"]
    environment = {
        "PICTURA_HOME": str(tmp_path),
        "PICTURA_C2PA_CERT": str(ours[0]),
        "PICTURA_C2PA_KEY": str(other[1]),
        "PATH": "/usr/bin",
    }
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "cannot sign pictures" in ended.stderr
    assert "Traceback" not in ended.stderr
