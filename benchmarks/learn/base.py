"""A painter of the shapes that does what it is told only some of the time: made in minutes, kept in runs/.

Many of its captions were wrong on purpose, in the colour word, the corner word or both, so that it paints
well and obeys badly, and learning has something to find. The network is the `micro-pixels` preset on 32 x 32
pixels, in patches of 8 x 8 so that a call is cheap enough for many runs on one core.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.learn.shapes import COLOURS, CORNERS, LEARNT, SIDE, WISHES, Wish, draw
from pictura.encode.text_encoder import TextEncoder, TextEncoderConfig
from pictura.encode.tokenizer import Tokenizer
from pictura.families.flow.backend import FlowParts, PixelSpace
from pictura.families.flow.model import FlowConfig, FlowTransformer
from pictura.families.flow.policy import FlowPolicy
from pictura.families.flow.presets import get_preset
from pictura.train.optim import make_optimizers
from pictura.train.recipe import TrainingSettings
from pictura.train.tasks.flow import FlowStep

WRONG = 0.45
"""Share of the captions whose colour was drawn anew, and of those whose corner was."""
BATCH = 64
SEED = 0
CPU = torch.device("cpu")


def parts() -> tuple[FlowParts, Tokenizer]:
    """Networks with random weights, and the tokenizer."""
    torch.manual_seed(SEED)
    preset = get_preset("micro-pixels")
    tokenizer = Tokenizer.train([wish.text for wish in WISHES], vocab_size=300)
    network = FlowTransformer(FlowConfig(**preset.network | {"latent_channels": 3, "patch_size": 8}))
    config = TextEncoderConfig(**preset.text_encoder, vocab_size=tokenizer.vocab_size)
    return FlowParts(network, TextEncoder(config), PixelSpace()), tokenizer


def _caption(wish: Wish, rng: np.random.Generator) -> str:
    """What the base is told of a picture."""
    if rng.random() < WRONG:
        wish = replace(wish, colour=str(rng.choice(list(COLOURS))))
    if rng.random() < WRONG:
        wish = replace(wish, corner=str(rng.choice(list(CORNERS))))
    return wish.text


def pretrain(made: FlowParts, tokenizer: Tokenizer, num_steps: int) -> float:
    """Teach it to paint; the mean loss of the last steps."""
    rng = np.random.default_rng(SEED)
    module = FlowStep(made.network, made.text_encoder)
    optimizers = make_optimizers(
        module, TrainingSettings(optimizer="muon", learning_rate=3e-3, muon_learning_rate=2e-2)
    )
    losses = []
    for step in range(num_steps):
        wishes = [LEARNT[i] for i in rng.integers(len(LEARNT), size=BATCH)]
        ids, mask = tokenizer.batch([_caption(wish, rng) for wish in wishes])
        x_0 = torch.from_numpy(draw(wishes, rng)) * 2 - 1
        noise = torch.from_numpy(rng.standard_normal(x_0.shape, dtype=np.float32))
        t = torch.from_numpy(rng.random(BATCH, dtype=np.float32))
        t = 3 * t / (1 + 2 * t)
        loss = module(x_0, noise, t, torch.from_numpy(ids), torch.from_numpy(mask)).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["base_lr"] * min(1.0, (step + 1) / 50, 2.5 * (1 - step / num_steps))
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    return float(np.mean(losses[-50:]))


def load_base(folder: Path, *, num_steps: int) -> tuple[FlowPolicy, nn.Module]:
    """The pretrained painter as a policy, and its network, of which calls can be counted."""
    made, tokenizer = parts()
    path = folder / f"shapes-{num_steps}.pt"
    if path.exists():
        made.load_state_dict(torch.load(path, weights_only=True))
    else:
        print(f"base: loss {pretrain(made, tokenizer, num_steps):.4f}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(made.state_dict(), path)
    return FlowPolicy(made, tokenizer, grid=(SIDE, SIDE), device=CPU), made.network


def gflop_per_call(policy: FlowPolicy) -> float:
    """Of one network call on one picture, multiply and add counted as two."""
    cond = policy.read([WISHES[0].text])
    with FlopCounterMode(display=False) as counter:
        policy.velocity({}, torch.zeros(1, *policy.latent_shape), torch.ones(1), cond)
    return counter.get_total_flops() / 1e9
