"""Trained networks to a model folder that paints, with or without torch; checked before it appears.

Runs of other tasks go on to what exports them, see `OTHERS`.

In: networks, tokenizer, word list and what the card says. Out: the folder described in
`store/models.py`: model.json, weights (fp16), four graphs without weights, tokenizer, words, card.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pictura.core.errors import ConfigError, TrainingError
from pictura.core.types import Conditioning
from pictura.encode.autoencoder import Autoencoder, AutoencoderConfig
from pictura.encode.text_encoder import TextEncoder, TextEncoderConfig
from pictura.encode.tokenizer import Tokenizer
from pictura.families.flow.backend import FlowParts, PixelSpace
from pictura.families.flow.model import FlowConfig, FlowTransformer
from pictura.runtime.onnx_backend import open_graph
from pictura.sample.ode import check_solver
from pictura.store.models import ModelInfo, Sampling, read_model
from pictura.store.weights import read_weights
from pictura.train import checkpoint
from pictura.train.export.graphs import check_same, make_graphs
from pictura.train.export.painter import export_painter
from pictura.train.export.part import Provenance, completed
from pictura.train.recipe import from_table

OTHERS = {
    "clip": "pictura.train.export.clip:export_clip",
    "judge": "pictura.train.export.judge:export_judge",
    "enlarger": "pictura.train.export.enlarger:export_enlarger",
    "autoencoder": "pictura.train.export.decoder:export_decoder",
    "stackgan": "pictura.train.export.gan:export_gan",
    "attngan": "pictura.train.export.gan:export_gan",
    "dfgan": "pictura.train.export.gan:export_gan",
    "dalle": "pictura.train.export.dalle:export_dalle",
    "unclip-decoder": "pictura.train.export.unclip:export_unclip",
    **dict.fromkeys(
        ("unclip-prior", "unclip-ar-prior", "unclip-upsampler"), "pictura.train.export.unclip:refuse_part"
    ),
}
"""Tasks whose runs have no ODE solver, and the function that writes a folder from a checkpoint of theirs."""


def export_model(
    folder: Path,
    *,
    name: str,
    network: FlowTransformer,
    text_encoder: TextEncoder,
    autoencoder: Autoencoder | None,
    tokenizer: Tokenizer,
    words: Sequence[str],
    grids: Sequence[tuple[int, int]],
    sampling: Sampling,
    provenance: Provenance,
    prompts: Sequence[str] = (),
    decoder: Mapping[str, Any] | None = None,
) -> ModelInfo:
    """Write a model folder and prove that torch and ONNX agree on it.

    Args:
        folder: of the model; an older one there is replaced when all is done.
        name: of the model.
        network: the velocity network.
        text_encoder: its text tower.
        autoencoder: None for a network that paints pixels.
        tokenizer: of the captions.
        words: every word of the captions in lower case, commonest first.
        grids: latent (height, width) shapes that the network was trained for.
        sampling: how the model is sampled unless a user says otherwise.
        provenance: data, licence, recipe, metrics.
        prompts: painted by the finished model, one picture each, for the card; empty paints none.
        decoder: how the decoder learnt on after an earlier painter, see `export.decoder`.

    Returns:
        What the new folder says about itself.

    Raises:
        ConfigError: the name cannot be a model's.
        ModelError: weights do not fit fp16, or ONNX and torch differ.
        StorageError: the disk is full, or the place cannot be written or holds something else.
    """
    check_solver(sampling.solver)
    parts = FlowParts(network, text_encoder, autoencoder or PixelSpace())
    factor = autoencoder.config.factor if autoencoder else 1
    channels = autoencoder.config.image_channels if autoencoder else network.config.latent_channels
    return export_painter(
        folder,
        name=name,
        family="flow",
        tables={
            "network": dataclasses.asdict(network.config),
            "text_encoder": dataclasses.asdict(text_encoder.config),
            "autoencoder": dataclasses.asdict(autoencoder.config) if autoencoder else None,
            **({"decoder": dict(decoder)} if decoder else {}),
        },
        weights=parts.state_dict(),
        tokenizer=tokenizer,
        words=words,
        graphs=make_graphs(parts, factor=factor, image_channels=channels),
        grids=grids,
        factor=factor,
        sampling=sampling,
        provenance=provenance,
        prompts=prompts,
        verify=verify_export,
    )


def export_checkpoint(
    run: Path,
    folder: Path,
    *,
    name: str,
    weights: str = "ema_long",
    provenance: Provenance | None = None,
    sampling: Mapping[str, Any] | None = None,
    parts: Mapping[str, Path] | None = None,
) -> ModelInfo:
    """Export the newest checkpoint of a training run.

    Args:
        run: folder of a run, or of one checkpoint.
        folder: of the model, as in `export_model`.
        name: of the model.
        weights: which of the checkpoint's weights: ``ema_long``, ``ema_short`` or ``model``.
        provenance: for the card; the recipe and the length of the training are filled in.
        sampling: settings of `Sampling` that replace the recipe's.
        parts: of a painter that several runs make: names of its other networks to their runs.

    Returns:
        What the new folder says about itself.

    Raises:
        TrainingError: there is no whole checkpoint, or it holds nothing that can be exported.
        ConfigError: there is no such solver, or settings of sampling are given that the family does not have.
    """
    found = checkpoint.find_latest(run)
    if found is None:
        raise TrainingError(f"{run} holds no checkpoint. Name the folder of a run, such as runs/default.")
    saved = checkpoint.load(found)
    task = saved.config.get("recipe", {}).get("task")
    _check_sampling(found, task, sampling or {})
    if parts and task != "unclip-decoder":
        names = ", ".join(f"--{name}" for name in parts)
        raise ConfigError(f"{found} holds a {task}, which no other run joins: leave {names} out.")
    if task in OTHERS:
        module, _, function = OTHERS[task].partition(":")
        export = getattr(import_module(module), function)
        more: dict[str, Any] = {"sampling": sampling} if sampling else {}
        more |= {"parts": parts} if parts else {}
        return export(found, folder, name=name, weights=weights, provenance=provenance, **more)
    if "network" not in saved.config or weights not in saved.weights:
        raise TrainingError(
            f"{found} holds no painter or part with weights {weights!r}: it cannot be exported."
        )
    config, tensors = saved.config, {**saved.weights.get("frozen", {}), **saved.weights[weights]}
    network = FlowTransformer(from_table(FlowConfig, config["network"], "network"))
    text_encoder = TextEncoder(from_table(TextEncoderConfig, config["text_encoder"], "text_encoder"))
    autoencoder = None
    if config.get("autoencoder"):
        autoencoder = Autoencoder(from_table(AutoencoderConfig, config["autoencoder"], "autoencoder"))
    FlowParts(network, text_encoder, autoencoder or PixelSpace()).load_state_dict(tensors)
    return export_model(
        folder,
        name=name,
        network=network,
        text_encoder=text_encoder,
        autoencoder=autoencoder,
        tokenizer=Tokenizer.from_text(saved.tokenizer, max_tokens=config["max_tokens"]),
        words=saved.words,
        grids=[(h, w) for h, w in config["grids"]],
        sampling=from_table(Sampling, {**config["sampling"], **(sampling or {})}, "sampling"),
        provenance=completed(provenance, saved, weights),
        prompts=config["recipe"].get("log", {}).get("prompts", ()),
        decoder=config.get("decoder"),
    )


def _check_sampling(found: Path, task: Any, sampling: Mapping[str, Any]) -> None:
    """Refuse settings of sampling that what is exported does not have."""
    tokens = {"temperature", "top_k"}
    if task == "dalle":
        how, wrong = "paints by tokens", set(sampling) - tokens - {"guidance_scale"}
    elif task == "unclip-decoder":
        how, wrong = "paints by imagination", set(sampling) & {*tokens, "solver"}
    elif task in OTHERS:
        how, wrong = "does not paint by steps", set(sampling)
    else:
        how, wrong = "paints by steps", set(sampling) & tokens
    if wrong:
        names = ", ".join(key for key in sampling if key in wrong)
        raise ConfigError(f"{found} holds a {task}, which {how}: leave {names} out.")


def verify_export(folder: Path, *, student: bool = False) -> None:
    """Compare ONNX Runtime with torch on the weights of a model folder, at two shapes and text lengths.

    Args:
        folder: of the model.
        student: take the weights of its student.

    Raises:
        ModelError: a number differs too much, see `check_same`.
    """
    model = read_model(folder)
    model.verify()
    parts = FlowParts.from_folder(model, student=student)
    weights = read_weights(folder, student=student)
    generator = torch.Generator().manual_seed(0)
    p, (h, w) = parts.network.config.patch_size, model.grids[0]
    for (rows, cols), num_tokens in (((h, w), 1), ((h + p, w + 3 * p), 7)):
        vocab_size = parts.text_encoder.config.vocab_size
        token_ids = torch.randint(vocab_size, (1, num_tokens), generator=generator)
        mask = torch.ones_like(token_ids, dtype=torch.bool)
        x_t = torch.randn(1, parts.network.config.latent_channels, rows, cols, generator=generator)
        t = torch.rand(1, generator=generator)
        with torch.no_grad():
            tokens = parts.text_encoder(token_ids, mask)
            velocity = parts.network(x_t, t, Conditioning(tokens=tokens, mask=mask))
            images = parts.autoencoder.decode(x_t)
            latent = parts.autoencoder.encode(images)
        calls: dict[str, tuple[dict[str, Tensor], Tensor]] = {
            "text_encoder": ({"token_ids": token_ids}, tokens),
            "network": ({"x_t": x_t, "t": t, "tokens": tokens, "mask": mask}, velocity),
            "decoder": ({"latent": x_t}, images),
            "encoder": ({"images": images}, latent),
        }
        for graph, (inputs, expected) in calls.items():
            session = open_graph(model, graph, weights, num_threads=1)
            (got,) = session.run(None, {key: value.numpy() for key, value in inputs.items()})
            check_same(got, expected.numpy(), f"{graph}.onnx differs from torch at {rows}x{cols}")
