"""What a picture file says about how it was painted: written into it, and read back.

PNG carries a text chunk ``parameters``, as other programs write and read it (the form of A1111's web
UI), and ``pictura``, a JSON object. JPEG and WebP carry the JSON as their EXIF description. All carry XMP
with IPTC's digital source type, by which other programs know that a machine painted it.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from PIL import ExifTags, Image, PngImagePlugin, UnidentifiedImageError

from pictura.core.errors import ConfigError, MetadataError
from pictura.store.models import AUTOREGRESSIVE, BY_IMAGINATION

FORMATS = {"png": "PNG", "webp": "WEBP", "jpeg": "JPEG"}
KEY = "pictura"
_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_XMP = (
    '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'Iptc4xmpExt:DigitalSourceType="{}"/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)
CHOICE = ("candidates", "scored_by", "score")
"""Settings of a picture that was chosen among many: they tell how, and change no pixel."""
_FIELDS = {"prompt": str, "seed": int, "index": int, "settings": dict, "model": str, "model_hash": str}


def save_picture(
    image: Image.Image,
    path: Path | IO[bytes],
    metadata: Mapping[str, Any],
    *,
    format: str = "png",  # noqa: A002
    quality: int | None = None,
) -> None:
    """Write a picture that says how it was painted. Equal pictures make equal files.

    Args:
        image: RGB or RGBA with straight alpha; JPEG, which has no alpha, shows it on white.
        path: of the file, wrapped in `atomic_file`; or an open one.
        metadata: prompt, seed, index, settings, model, model_hash, version.
        format: ``png``, ``webp`` or ``jpeg``.
        quality: of a WebP or JPEG, 0 to 100; None is the best (WebP: lossless).

    Raises:
        ConfigError: another format.
    """
    if format not in FORMATS:
        raise ConfigError(f"Pictures are saved as {', '.join(FORMATS)}; got {format!r}.")
    text, xmp = json.dumps(metadata), _XMP.format(source_type(metadata))
    if format == "png":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("parameters", a1111_parameters(metadata))
        chunks.add_itxt(KEY, text)
        chunks.add_itxt("XML:com.adobe.xmp", xmp)
        image.save(path, "PNG", pnginfo=chunks)
        return
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = text
    more: dict[str, Any] = {"exif": exif, "xmp": xmp.encode()}
    if format == "webp":
        lossy = {"lossless": True, "exact": True} if quality is None else {"quality": quality}
        image.save(path, "WEBP", **more, **lossy)
    else:
        fine = {"quality": 95, "subsampling": 0} if quality is None else {"quality": max(1, quality)}
        on_white(image).save(path, "JPEG", **more, **fine)


def source_type(metadata: Mapping[str, Any]) -> str:
    """IPTC's word for how a picture came to be: by a trained model alone, or from somebody's picture.

    What was painted on from pictures of the same studio is the model's alone, as they are.
    """
    ours = metadata.get("origin", {}).get("source_image_ids")
    foreign = "from_picture" in metadata.get("settings", {}) and not ours
    return _SOURCE_TYPES + ("compositeWithTrainedAlgorithmicMedia" if foreign else "trainedAlgorithmicMedia")


def read_metadata(path: Path) -> dict[str, Any]:
    """Read how a picture was painted.

    Returns:
        What `save_picture` was given as `metadata`.

    Raises:
        MetadataError: the file is missing, no picture, or says nothing that Pictura wrote.
    """
    try:
        with Image.open(path) as image:
            text = image.info.get(KEY) or image.getexif().get(ExifTags.Base.ImageDescription)
    except FileNotFoundError as error:
        raise MetadataError(f"{path} does not exist.") from error
    except UnidentifiedImageError as error:
        raise MetadataError(f"{path} is no picture that can be read.") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise MetadataError(f"{path} cannot be read ({error}).") from error
    try:
        metadata = json.loads(text or "")
    except (TypeError, ValueError):  # nothing, or the words of another program
        metadata = None
    if not isinstance(metadata, dict):
        raise MetadataError(
            f"{path} does not say how it was painted. Only pictures that Pictura saved, unchanged since, do."
        )
    for name, kind in _FIELDS.items():
        if not isinstance(metadata.get(name), kind):
            raise MetadataError(f"{path} does not say how it was painted: its {name!r} is missing or wrong.")
    return metadata


def read_settings(metadata: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The settings to paint by, out of what `read_metadata` found in a file that anybody may have written.

    Args:
        metadata: of the picture.
        path: of its file, for the message.

    Returns:
        Those of a model with that solver (`sample.request`), size, and, where they are there, given,
        strength and those of `CHOICE`.

    Raises:
        MetadataError: one is missing or wrong, or the picture was made of other pictures.
    """
    said = metadata["settings"]
    if "from_picture" in said:
        raise MetadataError(
            f"{path} was painted from another picture, which it does not hold. "
            f"Paint from that picture again, with seed {metadata['seed']}."
        )
    if isinstance(made := said.get("made_by"), dict):
        sources = made.get("of")
        names = [str(name) for name in sources] if isinstance(sources, list) else ["another picture"]
        raise MetadataError(
            f"{path} was not painted from a sentence alone, but by `pictura {made.get('command')}` of "
            f"{' and '.join(names)}. Run that command again, with --seed {metadata['seed']}."
        )
    try:
        of_way = {AUTOREGRESSIVE: _of_tokens, BY_IMAGINATION: _of_imagination}.get(said["solver"], _of_steps)
        width, height = said["size"]
        more: dict[str, Callable[[Any], Any]] = {
            "given": lambda codes: [int(code) for code in codes],
            "strength": float,
            "candidates": int,
            "scored_by": str,
            "score": float,
            "typed": str,
            "resolved": str,
            "read_as": lambda pairs: [[str(said), str(read)] for said, read in pairs],
        }
        return {
            **of_way(said),
            **{name: read(said[name]) for name, read in more.items() if name in said},
            "size": [int(width), int(height)],
        }
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise MetadataError(
            f"{path} does not say how it was painted: a setting is missing or wrong ({error})."
        ) from error


def _of_steps(said: Mapping[str, Any]) -> dict[str, Any]:
    low, high = said["guidance_interval"]
    bent: dict[str, Callable[[Any], Any]] = {
        "parts": lambda parts: [[str(text), float(share)] for text, share in parts],
        "chaos": int,
        "weird": int,
        "tile": bool,
        "stop": int,
        "student": str,
    }
    return {
        "num_steps": int(said["num_steps"]),
        "guidance_scale": float(said["guidance_scale"]),
        "guidance_interval": [float(low), float(high)],
        "solver": str(said["solver"]),
        "shift": float(said["shift"]),
        **{name: read(said[name]) for name, read in bent.items() if name in said},
    }


def _of_imagination(said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_of_steps(said),
        "vector": str(said["vector"]),
        "prior_steps": int(said["prior_steps"]),
        "prior_guidance": float(said["prior_guidance"]),
        "decoder_solver": str(said["decoder_solver"]),
        "eta": float(said["eta"]),
        "upsampler_steps": int(said["upsampler_steps"]),
    }


def _of_tokens(said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "solver": str(said["solver"]),
        "temperature": float(said["temperature"]),
        "top_k": int(said["top_k"]),
        "guidance_scale": float(said["guidance_scale"]),
    }


_TITLED = ("student", "chaos", "weird", "stop")
"""Settings that other programs are shown by their own names."""


def a1111_parameters(metadata: Mapping[str, Any]) -> str:
    """The lines that other programs show: the prompt, then its settings."""
    settings = metadata["settings"]
    width, height = settings["size"]
    facts = {
        **({"Steps": settings["num_steps"]} if "num_steps" in settings else {}),
        "Sampler": settings["solver"],
        "CFG scale": settings["guidance_scale"],
        **({"Temperature": f"{settings['temperature']:g}"} if "temperature" in settings else {}),
        **({"Top-k": settings["top_k"]} if settings.get("top_k") else {}),
        **({"Strength": f"{settings['strength']:g}"} if "strength" in settings else {}),
        **{name.title(): settings[name] for name in _TITLED if name in settings},
        **({"Tiling": True} if settings.get("tile") else {}),
        "Seed": metadata["seed"],
        "Image": metadata["index"] + 1,
        "Size": f"{width}x{height}",
        "Model hash": metadata["model_hash"][:10],
        "Model": metadata["model"],
        **({"Prompt-MJ": json.dumps(settings["typed"], ensure_ascii=False)} if "typed" in settings else {}),
        "Version": f"Pictura {metadata['version']}",
    }
    lines = [metadata["prompt"]]
    if unwanted := [text for text, share in settings.get("parts", ()) if share < 0]:
        lines.append(f"Negative prompt: {', '.join(unwanted)}")
    return "\n".join([*lines, ", ".join(f"{name}: {value}" for name, value in facts.items())])


def on_white(image: Image.Image) -> Image.Image:
    """Lay a picture with alpha on white."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
