"""Trained parts of unCLIP, from several runs, to one folder, whose graphs are proven equal to torch.

The CLIP, which reads and sees, is not in the folder: model.json names it and its hash, see `store/clips.py`.

Letters B pictures, C channels, h w small size, H W large size, D numbers of a vector, T text tokens.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pictura.core.errors import TrainingError
from pictura.core.types import Conditioning
from pictura.encode.text_encoder import TextEncoderConfig
from pictura.encode.tokenizer import Tokenizer
from pictura.families.unclip.backend import ClipReader, TorchBackend, UnclipParts
from pictura.families.unclip.decoder import Decoder, DecoderConfig
from pictura.families.unclip.prior import DiffusionPrior, PriorConfig
from pictura.families.unclip.upsampler import Upsampler, UpsamplerConfig
from pictura.runtime.onnx_unclip import OnnxUnclip
from pictura.sample.diffusion_steps import check_method
from pictura.store.clips import clip_of
from pictura.store.models import BY_IMAGINATION, ModelInfo, Sampling, read_model
from pictura.train.checkpoint import Checkpoint
from pictura.train.export.graphs import check_same
from pictura.train.export.painter import export_painter
from pictura.train.export.part import Provenance, completed, trained
from pictura.train.export.unclip_graphs import unclip_graphs
from pictura.train.recipe import from_table
from pictura.train.start import part

SAMPLING = Sampling(
    solver=BY_IMAGINATION, num_steps=16, guidance_scale=2.0, guidance_interval=(0.0, 1.0), shift=1.0
)
"""How the family paints unless the decoder's recipe or a person says otherwise."""
PARTS = ("prior", "upsampler")
"""What joins a decoder."""


def export_unclip(
    run: Path,
    folder: Path,
    *,
    name: str,
    weights: str = "ema_long",
    provenance: Provenance | None = None,
    sampling: Mapping[str, Any] | None = None,
    parts: Mapping[str, Path] | None = None,
) -> ModelInfo:
    """Export the newest checkpoint of a decoder's run, joined by those of other runs; see `export_painter`.

    Args:
        run: folder of a decoder's run, or of one checkpoint.
        folder: of the model.
        name: of the model.
        weights: which of the checkpoints' weights.
        provenance: for the card; the recipes and the lengths of the trainings are filled in.
        sampling: settings of `Sampling` that replace the recipe's.
        parts: `prior`, which is needed, and `upsampler` to the folders of their runs.

    Raises:
        TrainingError: a run lacks its part with such weights, no prior is named, or they learnt from
            different CLIPs or for different pictures.
        ConfigError: a setting of sampling is out of range.
        ModelError: weights do not fit fp16, ONNX and torch differ, or the CLIP is not here.
    """
    saved = {"decoder": trained(run, "decoder", weights)}
    given = parts or {}
    if "prior" not in given:
        raise TrainingError(
            f"{run} holds a decoder, which paints from vectors that a prior imagines. "
            "Name the prior's run too: --prior runs/unclip-prior."
        )
    saved |= {part_name: trained(where, part_name, weights) for part_name, where in given.items()}
    clip = _same_clip(saved)
    _check_fit(saved)
    networks = _networks(saved, clip, weights)
    config = saved["decoder"].config
    how = from_table(Sampling, {**config.get("sampling", SAMPLING.table()), **(sampling or {})}, "sampling")
    check_method(how.decoder_solver, how.eta)
    size, upsampler = networks.decoder.config.size, networks.upsampler
    return export_painter(
        folder,
        name=name,
        family="unclip",
        tables={
            "clip": config["clip"],
            "text_encoder": asdict(networks.clip.text_encoder.config),
            "prior": asdict(networks.prior.config),
            "decoder": asdict(networks.decoder.config),
            "upsampler": asdict(upsampler.config) if upsampler else None,
        },
        weights={key: one for key, one in networks.state_dict().items() if not key.startswith("clip.")},
        tokenizer=Tokenizer.from_text(saved["decoder"].tokenizer, max_tokens=config["max_tokens"]),
        words=list(dict.fromkeys(word for one in saved.values() for word in one.words)),
        graphs=unclip_graphs(networks),
        grids=[(size, size)],
        factor=upsampler.config.factor if upsampler else 1,
        sampling=how,
        provenance=_provenance(provenance, saved, weights),
        prompts=config["recipe"].get("log", {}).get("prompts", ()),
        verify=verify_unclip,
    )


def refuse_part(run: Path, folder: Path, **_: Any) -> ModelInfo:
    """Refuse to export what cannot paint without a decoder.

    Raises:
        TrainingError: always.
    """
    raise TrainingError(
        f"{run} holds a part of a painter by imagination. Export the decoder's run, and name this one "
        "with --prior or --upsampler."
    )


def _same_clip(saved: Mapping[str, Checkpoint]) -> ModelInfo:
    """The CLIP that all parts learnt from; an upsampler learnt from none."""
    wanted = saved["decoder"].config["clip"]
    for name, one in saved.items():
        other = one.config.get("clip") or wanted
        if other["hash"] != wanted["hash"]:
            raise TrainingError(
                f"The {name} learnt from the CLIP {other['name']!r} with hash {other['hash'][:10]}, the "
                f"decoder from {wanted['name']!r} with hash {wanted['hash'][:10]}. Train both with one CLIP."
            )
    return clip_of(wanted, "the decoder")


def _check_fit(saved: Mapping[str, Checkpoint]) -> None:
    """Refuse an upsampler that cannot read what the decoder paints."""
    if "upsampler" not in saved:
        return
    small, large = saved["decoder"].config["decoder"], saved["upsampler"].config["upsampler"]
    if small["image_channels"] != large["image_channels"]:
        raise TrainingError(
            f"The decoder paints {small['image_channels']} channels, the upsampler reads "
            f"{large['image_channels']}. Train both on the same pictures."
        )


def _networks(saved: Mapping[str, Checkpoint], clip: ModelInfo, weights: str) -> UnclipParts:
    config, towers = saved["decoder"].config, clip.manifest["clip"]
    reader = TextEncoderConfig(
        vocab_size=towers["vocab_size"],
        width=towers["text_width"],
        num_blocks=towers["text_blocks"],
        num_heads=towers["text_heads"],
    )
    networks = UnclipParts(
        ClipReader(reader, towers["dim"]),
        DiffusionPrior(from_table(PriorConfig, saved["prior"].config["prior"], "prior")),
        Decoder(from_table(DecoderConfig, config["decoder"], "decoder")),
        None
        if "upsampler" not in saved
        else Upsampler(from_table(UpsamplerConfig, saved["upsampler"].config["upsampler"], "upsampler")),
    )
    frozen = saved["decoder"].weights["frozen"]
    networks.clip.load_state_dict(part(dict(frozen), "clip"))
    for name, one in saved.items():
        getattr(networks, name).load_state_dict(part(dict(one.weights[weights]), name))
    return networks


def _provenance(given: Provenance | None, saved: Mapping[str, Checkpoint], weights: str) -> Provenance:
    """What a person said, with what all checkpoints know."""
    each = {name: completed(None, one, weights) for name, one in saved.items()}
    said = given or Provenance()
    others = {name: one.recipe for name, one in each.items() if name != "decoder"}
    lengths = " ".join(f"{name.capitalize()}: {one.training}" for name, one in each.items())
    return replace(
        said,
        data=tuple(dict.fromkeys([*said.data, *(line for one in each.values() for line in one.data)])),
        recipe={**each["decoder"].recipe, **others},
        training=f"{lengths} {said.training}".strip(),
    )


@torch.no_grad()
def verify_unclip(folder: Path) -> None:
    """Compare ONNX Runtime with torch on a model folder, at two lengths of text.

    Raises:
        ModelError: a number differs too much, see `check_same`.
    """
    model = read_model(folder)
    model.verify()
    here, there = OnnxUnclip(model, num_threads=1), TorchBackend(model, device="cpu")
    rng, tables = np.random.default_rng(0), model.manifest
    (h, w), channels, dim = model.grids[0], tables["decoder"]["image_channels"], tables["clip"]["dim"]
    for num_tokens, keep in ((1, False), (model.max_tokens, True)):
        ids = rng.integers(tables["text_encoder"]["vocab_size"], size=num_tokens)
        texts = here.encode_text(ids), there.encode_text(ids)
        for field in ("tokens", "sentence"):
            got, expected = (getattr(text, field) for text in texts)
            check_same(got, expected.numpy(), f"text_encoder.onnx differs from torch in {field}")
        z, t = rng.standard_normal((2, dim), dtype=np.float32), rng.random(2, dtype=np.float32)
        x_t = rng.standard_normal((2, channels, h, w), dtype=np.float32)
        calls: dict[str, tuple[Any, ...]] = {
            "prior": (z, t),
            "decoder": (x_t, t, z),
        }
        if tables["upsampler"]:
            large = (2, channels, h * model.factor, w * model.factor)
            calls["upsampler"] = (rng.standard_normal(large, dtype=np.float32), t, x_t)
        told = {"prior": keep, "decoder": (keep, not keep)}
        for name, arrays in calls.items():
            got = _answer(here, name, arrays, texts[0], told.get(name))
            expected = _answer(there, name, arrays, texts[1], told.get(name))
            check_same(got, expected, f"{name}.onnx differs from torch at {num_tokens} tokens")


def _answer(
    backend: OnnxUnclip | TorchBackend, name: str, arrays: tuple[Any, ...], text: Conditioning, keep: Any
) -> Any:
    """What a backend's network says of some arrays; `keep` is None where it reads no text."""
    told = () if keep is None else (text, keep)
    return backend.numpy(getattr(backend, name)(*map(backend.asarray, arrays), *told))
