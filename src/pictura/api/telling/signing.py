"""Signed statements in picture files that a machine painted them: Content Credentials (C2PA).

Source  C2PA 2.4 (https://spec.c2pa.org), written by c2pa-python. A file is signed last, when it leaves the
        studio: whatever changes it afterwards breaks the signature. Stored files stay as they are.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

import pictura
from pictura.api.config import ApiConfig
from pictura.core.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from c2pa import Builder

_NO_THUMBNAILS = {"builder": {"thumbnail": {"enabled": False}}}
"""What a picture was painted from must not travel with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parent:
    """A picture that another was painted from."""

    data: bytes
    media: str
    name: str
    """By which people may find it."""


def signer_of(config: ApiConfig) -> "Signer | None":
    """What signs files as an administrator chose; None where nothing is signed.

    Raises:
        ConfigError: certificate and key cannot sign.
        MissingExtraError: the library is not installed.
    """
    if config.c2pa_certificate is None or config.c2pa_key is None:
        return None
    return Signer(Path(config.c2pa_certificate), Path(config.c2pa_key))


class Signer:
    """Signs files; it may be shared by threads."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read them, and sign a small picture to see that they can.

        Args:
            certificate: PEM, that of the studio first, then those that vouch for it.
            key: its private key, PEM without a password.

        Raises:
            ConfigError: they cannot sign.
            MissingExtraError: the library is not installed.
        """
        try:
            import c2pa
        except ImportError as error:
            raise MissingExtraError(
                "Signing needs c2pa-python, which is not installed: pip install 'pictura[c2pa]'"
            ) from error
        self._c2pa = c2pa
        chain, secret = _read(certificate, "certificate"), _read(key, "key")
        info = c2pa.C2paSignerInfo(
            alg=_algorithm(secret, key), sign_cert=chain, private_key=secret, ta_url=None
        )
        try:
            signer = c2pa.Signer.from_info(info)
            self._context = c2pa.Context(settings=c2pa.Settings.from_dict(_NO_THUMBNAILS), signer=signer)
            state, wrong = verified(self.signed(_small(), "image/png", ""), "image/png")
        except c2pa.C2paError as error:
            raise _cannot(certificate, key, str(error)) from error
        if state not in ("Valid", "Trusted"):
            raise _cannot(certificate, key, ", ".join(wrong))

    def signed(self, data: bytes, media: str, source_type: str, parent: Parent | None = None) -> bytes:
        """The same file with a signed statement of how it came to be.

        Args:
            data: a PNG, JPEG or WebP file.
            media: its type.
            source_type: IPTC's digital source type (`store.metadata.source_type`).
            parent: what it was painted from.
        """
        c2pa = self._c2pa
        made = {"name": "Pictura", "version": pictura.__version__}
        builder = c2pa.Builder({"claim_generator_info": [made], "format": media}, context=self._context)
        if parent is None:
            _say(builder, "c2pa.created", source_type)
        else:
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            ingredient = {"relationship": "parentOf", "title": parent.name}
            builder.add_ingredient(ingredient, parent.media, io.BytesIO(parent.data))
            _say(builder, "c2pa.edited", source_type)
        file = io.BytesIO()
        builder.sign(media, io.BytesIO(data), file)
        return file.getvalue()


def verified(data: bytes, media: str) -> tuple[str, list[str]]:
    """What C2PA's own reader says of a file: Valid, Trusted or Invalid, and what is amiss."""
    import c2pa

    with c2pa.Reader(media, io.BytesIO(data)) as reader:
        results: Any = (reader.get_validation_results() or {}).get("activeManifest", {})
        return str(reader.get_validation_state()), [one["code"] for one in results.get("failure", ())]


def _say(builder: "Builder", action: str, source_type: str) -> None:
    builder.add_action({"action": action, "digitalSourceType": source_type})


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"The {what} for signing cannot be read at {path} ({error.strerror}). Give a PEM file."
        ) from error


def _algorithm(secret: bytes, path: Path) -> str:
    """By which a key signs."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(secret, None)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{path} holds no private key in PEM without a password. Give another file."
        ) from error
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size in (256, 384, 521):
        return {256: "es256", 384: "es384", 521: "es512"}[key.curve.key_size]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    raise ConfigError(f"The key {path} is of a kind that C2PA does not know. Use EC P-256, Ed25519 or RSA.")


def _cannot(certificate: Path, key: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{certificate} and {key} cannot sign pictures: {why}. Give a certificate for signing and its own "
        "key, as docs/studio.md says."
    )


def _small() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    return file.getvalue()
