"""The model card: what a model folder's README.md says to people."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pictura.store.models import AT_ONCE, AUTOREGRESSIVE, BY_IMAGINATION

SAMPLES = "samples.png"
"""A sheet of pictures that the model painted, if there is one (`store.models.SHOWN`)."""


def model_card(
    manifest: Mapping[str, Any],
    hashes: Mapping[str, str],
    *,
    training: str,
    words: Sequence[str],
    learnt: str = "",
    pictures: str = "One picture of each prompt, seed 0, nothing picked",
) -> str:
    """Write the card.

    Args:
        manifest: the content of model.json, without `files`.
        hashes: file name to SHA-256.
        training: how long it was trained and on what, as sentences.
        words: every word it was trained on, commonest first.
        learnt: what rewards taught it on top of that, Markdown.
        pictures: what the sheet of pictures shows.

    Returns:
        Markdown.
    """
    decoder = manifest.get("decoder") if manifest["family"] == "flow" else None  # that of unclip is a network
    shapes = ", ".join(f"{w * manifest['factor']}x{h * manifest['factor']}" for h, w in manifest["grids"])
    blocks = [
        f"# {manifest['name']}",
        f"A text-to-image model of the {manifest['family']} family, made by Pictura "
        f"{manifest['pictura_version']} on {manifest['created'][:10]}. Licence: {manifest['licence']}.",
        *([f"![{pictures}]({SAMPLES})"] if SAMPLES in hashes else []),
        "## Data\n\n" + (_list(manifest["data"]) or "Not stated."),
        "## Training\n\n" + (training or "Not stated."),
        *([f"## Decoder\n\n{decoder_section(decoder)}"] if decoder else []),
        *([f"## Learnt from rewards\n\n{learnt}"] if learnt else []),
        "## Painting\n\n"
        f"{_way(manifest['sampling'])}. It paints at {shapes} pixels; "
        f"other sizes are scaled. It knows {len(words)} words, all in words.txt; "
        f"the commonest: {', '.join(words[:40])}.",
        "## Metrics\n\n"
        + (_list(f"{key}: {value}" for key, value in manifest["metrics"].items()) or "None yet."),
        "## Recipe\n\n```json\n" + json.dumps(manifest["recipe"], indent=1) + "\n```",
        "## Files\n\n" + _list(f"{name}: sha256 `{digest}`" for name, digest in hashes.items()),
    ]
    return "\n\n".join(blocks) + "\n"


def decoder_section(learnt: Mapping[str, Any]) -> str:
    """What is said of a flow model's decoder that learnt on after the painter: `decoder` of model.json."""
    recipe = learnt["recipe"]
    return (
        f"What turns latents into pixels learnt on after the painter (run `{recipe['name']}`), from latents "
        f"with noise of strengths up to {recipe['training']['latent_noise']:g}, so that a painter's errors "
        f"leave no seams. {learnt['training']} Painter, text tower and encoder stayed as they were."
    )


def with_section(card: str, title: str, text: str) -> str:
    """A card with a section in the place of the one of that title, or else before how the model paints."""
    section, old = f"\n## {title}\n\n{text}\n", re.compile(rf"\n## {title}\n.*?(?=\n## )", re.DOTALL)
    if old.search(card):
        return old.sub(lambda _: section, card, count=1)
    return card.replace("\n## Painting\n", f"{section}\n## Painting\n", 1)


def _way(sampling: Mapping[str, Any]) -> str:
    if sampling["solver"] == AT_ONCE:
        return "In one pass, without steps and guidance"
    if sampling["solver"] == AUTOREGRESSIVE:
        among = f", among the {sampling['top_k']} likeliest" if sampling["top_k"] else ""
        return (
            f"Token by token at temperature {sampling['temperature']:g}{among}, "
            f"guidance {sampling['guidance_scale']:g}"
        )
    if sampling["solver"] == BY_IMAGINATION:
        return (
            f"By imagination: {sampling['prior_steps']} steps of the prior with guidance "
            f"{sampling['prior_guidance']:g}, {sampling['num_steps']} of the decoder "
            f"({sampling['decoder_solver']}) with guidance {sampling['guidance_scale']:g}, "
            f"{sampling['upsampler_steps']} of the upsampler"
        )
    low, high = sampling["guidance_interval"]
    return (
        f"{sampling['num_steps']} steps of {sampling['solver']}, guidance {sampling['guidance_scale']:g} "
        f"for t in [{low:g}, {high:g}], shift {sampling['shift']:g}"
    )


def part_card(manifest: Mapping[str, Any], hashes: Mapping[str, str], *, text: str, training: str) -> str:
    """Write the card of a part, which does not paint.

    Args:
        manifest: the content of model.json, without `files`.
        hashes: file name to SHA-256.
        text: what it is for and what it is blind to, Markdown.
        training: how long it was trained and on what, as sentences.

    Returns:
        Markdown.
    """
    blocks = [
        f"# {manifest['name']}",
        f"A part of the kind {manifest['family']}, made by Pictura {manifest['pictura_version']} on "
        f"{manifest['created'][:10]}; it does not paint. Licence: {manifest['licence']}.",
        text.strip(),
        "## Data\n\n" + (_list(manifest["data"]) or "Not stated."),
        "## Training\n\n" + (training or "Not stated."),
        "## Metrics\n\n" + (_list(_metric_lines(manifest["metrics"])) or "None yet."),
        "## Recipe\n\n```json\n" + json.dumps(manifest["recipe"], indent=1) + "\n```",
        "## Files\n\n" + _list(f"{name}: sha256 `{digest}`" for name, digest in hashes.items()),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _metric_lines(metrics: Mapping[str, Any], within: str = "") -> list[str]:
    """One line a number; those of a table are named TABLE.NUMBER."""
    lines = []
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            lines += _metric_lines(value, f"{within}{key}.")
        else:
            lines.append(f"{within}{key}: {value}")
    return lines


def _list(items: Any) -> str:
    return "\n".join(f"- {item}" for item in items)
