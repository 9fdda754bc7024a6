"""Speed of drawing image tokens: our samplers, the loop without a cache, GPT-2, and bare products.

    python -m benchmarks.tokens [--presets smoke small] [--batches 1 4 32] [--turns 5] [--write]

Every way draws all tokens of B pictures after one prompt that fills all text positions, at temperature 1 and
without guidance. Tokens/s counts the tokens of pictures alone; the time holds everything: reading the prompt,
the network, softmax, drawing. It is processor time of one thread, since a machine is seldom quiet. Ways take
turns in one process and the median turn counts. Weights are random, which does not change the speed.

    ONNX, torch   `sample.autoregressive.draw_codes` on both of our backends
    no cache      the same network in torch, asked for the whole picture again for each new token
    GPT-2         of `transformers`, untrained, of the same width, depth, heads, length and number of codes:
                  the fastest of its own `generate` and a loop written here, each on both kinds of its cache
    products      the matrix products of our network alone, as many and as large as it needs for the prompt
                  and for every step: what would remain if all else took no time. In ONNX Runtime, and in
                  numpy or torch, whichever is faster

GPT-2 needs `pip install transformers`; without it its column stays empty.
"""

import argparse
import importlib
import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper

from benchmarks.report import machine, table, write_section
from pictura.encode.dvae.config import get_preset as dvae_preset
from pictura.encode.dvae.model import Dvae
from pictura.encode.tokenizer import Tokenizer
from pictura.families.dalle.backend import DalleParts, TorchBackend
from pictura.families.dalle.model import DalleConfig, DalleTransformer
from pictura.families.dalle.presets import get_preset
from pictura.runtime.onnx_tokens import OnnxTokens
from pictura.sample.autoregressive import TokenLaw, draw_codes
from pictura.store.models import AUTOREGRESSIVE, ModelInfo, Sampling
from pictura.train.export.dalle import dalle_graphs
from pictura.train.export.painter import export_painter
from pictura.train.export.part import Provenance

VOCABULARY = 2048
"""Text tokens; how many there are costs nothing."""
FEW_TURNS = 2
"""Of the loop without a cache, which is slow."""
Draw = Callable[[], object]
Pairs = list[tuple[Any, Any]]


def untrained_parts(preset: str) -> DalleParts:
    """Both networks with random weights, the dVAE of the preset of the same name."""
    torch.manual_seed(0)
    dvae = dvae_preset(preset)
    config = DalleConfig(vocab_size=VOCABULARY, num_codes=dvae.vocab_size, **get_preset(preset))
    return DalleParts(DalleTransformer(config), Dvae(dvae)).eval().requires_grad_(False)


def untrained_model(folder: Path, parts: DalleParts) -> ModelInfo:
    """A model folder of them."""
    config = parts.transformer.config
    return export_painter(
        folder / "untrained",
        name="untrained",
        family="dalle",
        tables={"transformer": asdict(config), "dvae": asdict(parts.dvae.config)},
        weights=parts.state_dict(),
        tokenizer=Tokenizer.train(["a red fox"], vocab_size=300, max_tokens=config.max_tokens),
        words=["fox"],
        graphs=dalle_graphs(parts),
        grids=[(config.rows, config.cols)],
        factor=parts.dvae.config.factor,
        sampling=Sampling(
            solver=AUTOREGRESSIVE, num_steps=1, guidance_scale=1.0, guidance_interval=(0.0, 1.0), shift=1.0
        ),
        provenance=Provenance(),
        prompts=(),
        verify=lambda _: None,
    )


def ours(backend: Any, config: DalleConfig, batch: int) -> Draw:
    """Our sampler on a backend."""
    text = np.arange(config.max_tokens, dtype=np.int64)
    return lambda: draw_codes(backend, text, text, seed=0, numbers=range(batch), law=TokenLaw())


def without_cache(transformer: DalleTransformer, batch: int) -> Draw:
    """The whole stream read again for each token."""
    config = transformer.config
    ids = torch.arange(config.max_tokens).expand(batch, -1)
    mask = torch.ones(batch, config.max_tokens, dtype=torch.bool)

    @torch.inference_mode()
    def draw() -> torch.Tensor:
        codes = torch.zeros(batch, config.length, dtype=torch.int64)
        for k in range(config.length):
            law = transformer(ids, mask, codes).image[:, k].softmax(-1)
            codes[:, k] = torch.multinomial(law, 1)[:, 0]
        return codes

    return draw


def peers(config: DalleConfig, batch: int) -> dict[str, Draw]:
    """GPT-2 of `transformers`, by its own loop and by one of ours, on both of its caches."""
    transformers: Any = importlib.import_module("transformers")  # need not be installed
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    total = config.num_prefix + config.length
    gpt2 = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=config.num_codes,
            n_positions=total,
            n_embd=config.width,
            n_layer=config.num_blocks,
            n_head=config.num_heads,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=0,
        )
    )
    gpt2.eval()
    ids = torch.arange(config.num_prefix).expand(batch, -1).contiguous()
    length = {"max_new_tokens": config.length, "min_new_tokens": config.length}

    @torch.inference_mode()
    def generate(**more: Any) -> torch.Tensor:
        tokens: torch.Tensor = gpt2.generate(ids, do_sample=True, top_k=0, **length, **more)
        return tokens

    @torch.inference_mode()
    def loop(cache: Callable[[], Any]) -> None:
        kept, new = cache(), ids
        for _ in range(config.length):
            out = gpt2(input_ids=new, past_key_values=kept, use_cache=True, logits_to_keep=1)
            kept, new = out.past_key_values, torch.multinomial(out.logits[:, -1].softmax(-1), 1)

    return {
        "GPT-2, generate": generate,
        "GPT-2, generate, static cache": partial(generate, cache_implementation="static"),
        "GPT-2, loop": partial(loop, lambda: None),
        "GPT-2, loop, static cache": partial(
            loop, lambda: transformers.StaticCache(config=gpt2.config, max_cache_len=total)
        ),
    }


def products(config: DalleConfig, batch: int) -> dict[str, Draw]:
    """The bare products of a prompt and of every later step, in three libraries."""
    prefix, heads, steps = config.num_prefix, config.num_heads, config.length - 1
    plan = config.memory_plan()
    windows = [prefix + plan.widths()[kind] for kind in plan.kinds()]
    prompt = pairs(config, prefix, heads, prefix, [prefix] * config.num_blocks)
    step = pairs(config, batch, batch * heads, 1, windows)

    def made_of(library: Callable[[Pairs], Draw]) -> Draw:
        read, go_on = library(prompt), library(step)

        def both() -> None:
            read()
            for _ in range(steps):
                go_on()

        return both

    return {
        f"products, {name}": made_of(library)
        for name, library in {"ONNX Runtime": in_onnx, "numpy": in_numpy, "torch": in_torch}.items()
    }


def pairs(config: DalleConfig, rows: int, streams: int, queries: int, seen: list[int]) -> Pairs:
    """What is multiplied by what in one call of the network.

    Args:
        config: of the network.
        rows: tokens that go through it.
        streams: of attention: one for each picture and head.
        queries: tokens of each stream that look.
        seen: of each block, tokens that each of them looks at.
    """
    rng, width, per_head = np.random.default_rng(0), config.width, config.width // config.num_heads

    def array(*shape: int) -> Any:
        return rng.standard_normal(shape, dtype=np.float32)

    found: Pairs = []
    narrow, wide, query = array(rows, width), array(rows, 4 * width), array(streams, queries, per_head)
    for num in seen:
        found += [(narrow, array(width, 3 * width)), (query, array(streams, per_head, num))]
        found += [(array(streams, queries, num), array(streams, num, per_head))]
        found += [(narrow, array(width, width)), (narrow, array(width, 4 * width))]
        found += [(wide, array(4 * width, width))]
    return [*found, (narrow[: rows // queries], array(width, config.num_codes))]


def in_numpy(given: Pairs) -> Draw:
    outs = [a @ b for a, b in given]

    def multiply() -> None:
        for (a, b), out in zip(given, outs, strict=True):
            np.matmul(a, b, out=out)

    return multiply


def in_torch(given: Pairs) -> Draw:
    tensors = [tuple(map(torch.from_numpy, (a, b, a @ b))) for a, b in given]

    @torch.inference_mode()
    def multiply() -> None:
        for a, b, out in tensors:
            torch.matmul(a, b, out=out)

    return multiply


def in_onnx(given: Pairs) -> Draw:
    """One graph of products; matrices of weights are constants of it, which are laid out for speed."""
    names, binds = {id(a): f"a{id(a)}" for a, _ in given}, {}
    nodes, weights, outputs = [], [], []
    for i, (a, b) in enumerate(given):
        nodes.append(helper.make_node("MatMul", [names[id(a)], f"b{i}"], [f"c{i}"]))
        outputs.append(helper.make_tensor_value_info(f"c{i}", TensorProto.FLOAT, (a @ b).shape))
        binds[names[id(a)]] = np.ascontiguousarray(a)
        if b.ndim == 2:
            weights.append(numpy_helper.from_array(b, f"b{i}"))
        else:
            binds[f"b{i}"] = b
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, x.shape) for n, x in binds.items()]
    graph = helper.make_graph(nodes, "products", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options)
    binding = session.io_binding()
    values = {name: ort.OrtValue.ortvalue_from_numpy(x) for name, x in binds.items()}
    for name, value in values.items():
        binding.bind_ortvalue_input(name, value)
    for i, (a, b) in enumerate(given):
        binding.bind_ortvalue_output(f"c{i}", ort.OrtValue.ortvalue_from_numpy(a @ b))
    return lambda: session.run_with_iobinding(binding)


def seconds(ways: Mapping[str, Draw], turns: int) -> dict[str, float]:
    """Median processor seconds of each way, which take turns; the first turn only warms up."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, draw in ways.items():
            if name == "no cache" and turn > FEW_TURNS:
                continue
            start = time.process_time()
            draw()
            times[name].append(time.process_time() - start)
    return {name: statistics.median(row[1:]) for name, row in times.items()}


def measure(preset: str, batches: list[int], turns: int) -> list[list[str]]:
    """A row of the table for each number of pictures."""
    parts, rows = untrained_parts(preset), []
    config = parts.transformer.config
    with tempfile.TemporaryDirectory() as folder:
        model = untrained_model(Path(folder), parts)
        onnx, on_torch = OnnxTokens(model, num_threads=1), TorchBackend(model, device="cpu")
    for batch in batches:
        ways = {"ONNX": ours(onnx, config, batch), "torch": ours(on_torch, config, batch)}
        ways["no cache"] = without_cache(parts.transformer, batch)
        if importlib.util.find_spec("transformers"):
            ways |= peers(config, batch)
        ways |= products(config, batch)
        took = seconds(ways, turns)
        print(preset, batch, {name: f"{1000 * one:.1f} ms" for name, one in took.items()}, flush=True)
        rows.append([f"`{preset}`", str(batch), *_row(took, batch * config.length)])
    return rows


def _row(took: Mapping[str, float], num_tokens: int) -> list[str]:
    def best(kind: str) -> float | None:
        return min((one for name, one in took.items() if name.startswith(kind)), default=None)

    peer, onnx = best("GPT-2"), took["products, ONNX Runtime"]
    other = min(took["products, numpy"], took["products, torch"])
    speeds = [took["ONNX"], took["torch"], took["no cache"], peer, onnx, other]
    return [
        *("" if one is None else f"{num_tokens / one:,.0f}" for one in speeds),
        f"{took['no cache'] / took['ONNX']:.1f}x",
        "" if peer is None else f"{peer / took['ONNX']:.2f}x",
        f"{took['ONNX'] / onnx:.2f}",
        f"{took['ONNX'] / other:.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", nargs="+", default=["smoke", "small"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 4, 32])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write into docs/benchmarks.md")
    args = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1" or os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        raise SystemExit("Set OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1: every way gets one thread.")
    torch.set_num_threads(1)
    if not importlib.util.find_spec("transformers"):
        print("GPT-2 is left out. To compare with it: pip install transformers")

    rows = [row for preset in args.presets for row in measure(preset, args.batches, args.turns)]
    head = ["preset", "pictures", "ONNX, tokens/s", "torch", "no cache", "GPT-2"]
    head += ["products, ONNX Runtime", "products, numpy or torch"]
    head += ["no cache", "GPT-2", "products, ONNX Runtime", "products, numpy or torch"]
    text = (
        "`OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.tokens`. Tokens a second of "
        "processor time of one thread, while all of the prompt is read and every token drawn; what the "
        "columns are stands in the script. The last four compare our sampler on ONNX Runtime: how many times "
        "as fast as the loop without a cache and as GPT-2, how many times as long as bare products take.\n"
        f"Machine: {machine()}.\n\n{table(head, rows)}"
    )
    print(text)
    if args.write:
        write_section("Drawing tokens", text)


if __name__ == "__main__":
    main()
