"""A small Stable-Diffusion-like painter, and the same network as a policy of Pictura.

The network is diffusers' UNet2DConditionModel with 0.25 million weights over the 32 x 32 pixels themselves;
text tower and schedule are those of Stable Diffusion 2 at toy size. A diffusion network is a velocity field
as it stands: with a = sqrt(alpha_bar), s = sqrt(1 - alpha_bar) and x = a x_0 + s noise, the point
x / (a + s) lies on the straight path at t = s / (a + s). `UNetPolicy` is that change of letters and no more.

Needs diffusers and transformers: see `against_trl.py`.

Letters B pictures, T tokens, D width.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from benchmarks.learn.shapes import LEARNT, SIDE, draw
from pictura.core.types import Conditioning

NUM_TOKENS = 12
WIDTH = 32
NUM_TIMES = 1000


class Pixels(nn.Module):
    """Stands where a pipeline has its autoencoder: pictures in [-1, 1] are their own latents."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(block_out_channels=(1,), scaling_factor=1.0, latent_channels=3)

    def decode(self, latents: Tensor, *, return_dict: bool = False, **_: object) -> tuple[Tensor]:
        """As they are."""
        return (latents,)


def build(seed: int) -> StableDiffusionPipeline:
    """The pipeline with random weights."""
    torch.manual_seed(seed)
    words = ["<pad>", "<s>", *sorted({word for wish in LEARNT for word in wish.text.split()})]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<s>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", model_max_length=NUM_TOKENS
    )
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(words),
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=NUM_TOKENS,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=0,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=SIDE,
        in_channels=3,
        out_channels=3,
        layers_per_block=1,
        block_out_channels=(8, 16, 32),
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=8,
        norm_num_groups=8,
    )
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
    )
    return StableDiffusionPipeline(
        vae=Pixels(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def read(pipeline: StableDiffusionPipeline, texts: Sequence[str]) -> Tensor:
    """What the text tower makes of B sentences: (B, T, D)."""
    ids = pipeline.tokenizer(
        list(texts), return_tensors="pt", padding="max_length", truncation=True, max_length=NUM_TOKENS
    ).input_ids
    return pipeline.text_encoder(ids)[0]


def pretrain(pipeline: StableDiffusionPipeline, *, num_steps: int, batch_size: int, seed: int) -> float:
    """Teach it to paint the shapes, as diffusion models are taught; the mean loss of the last steps."""
    rng, random = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    unet, text_encoder = pipeline.unet.train(), pipeline.text_encoder.train()
    weights = [*unet.parameters(), *text_encoder.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=2e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=num_steps, pct_start=0.1)
    losses = []
    for _ in range(num_steps):
        wishes = [LEARNT[i] for i in rng.integers(len(LEARNT), size=batch_size)]
        x_0 = torch.from_numpy(draw(wishes, rng)) * 2 - 1
        noise = torch.randn(x_0.shape, generator=random)
        times = torch.randint(NUM_TIMES, (batch_size,), generator=random)
        x_t = pipeline.scheduler.add_noise(x_0, noise, times)
        target = pipeline.scheduler.get_velocity(x_0, noise, times)
        found = unet(x_t, times, read(pipeline, [wish.text for wish in wishes])).sample
        loss = (found - target).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    unet.eval()
    text_encoder.eval()
    return float(np.mean(losses[-50:]))


def load_base(
    folder: Path, *, num_steps: int, batch_size: int = 32, seed: int = 0
) -> StableDiffusionPipeline:
    """The pretrained painter, from `folder` if it was made before."""
    pipeline, path = build(seed), folder / f"unet-{num_steps}.pt"
    parts = nn.ModuleDict({"unet": pipeline.unet, "text_encoder": pipeline.text_encoder})
    if path.exists():
        parts.load_state_dict(torch.load(path, weights_only=True))
    else:
        print(f"base: loss {pretrain(pipeline, num_steps=num_steps, batch_size=batch_size, seed=seed):.4f}")
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(parts.state_dict(), path)
    parts.eval().requires_grad_(False)
    return pipeline


class UNetPolicy:
    """The pipeline's network as a `pictura.learn.policy.Policy`."""

    latent_shape = (3, SIDE, SIDE)
    device = torch.device("cpu")

    def __init__(self, pipeline: StableDiffusionPipeline) -> None:
        self._pipeline = pipeline
        self.learnable: Mapping[str, Tensor] = {
            name: value.detach() for name, value in pipeline.unet.named_parameters()
        }
        alpha_bar = pipeline.scheduler.alphas_cumprod.double()
        a, s = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
        self.grid = (s / (a + s)).numpy()
        """t of each of the schedule's times."""

    @torch.no_grad()
    def read(self, texts: Sequence[str]) -> Conditioning:
        """B sentences to (B, T, D); the pipeline masks nothing, and so neither do we."""
        tokens = read(self._pipeline, texts)
        return Conditioning(tokens=tokens, mask=torch.ones(tokens.shape[:2], dtype=torch.bool))

    def velocity(self, weights: Mapping[str, Tensor], x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """Velocity (B, C, h, w); times beyond the schedule's ends are asked at its ends."""
        times = torch.from_numpy(np.interp(t.double().numpy(), self.grid, np.arange(NUM_TIMES))).float()
        norm = ((1 - t).square() + t.square()).sqrt()
        a, s = ((1 - t) / norm)[:, None, None, None], (t / norm)[:, None, None, None]
        x = x_t / norm[:, None, None, None]
        v = torch.func.functional_call(self._pipeline.unet, dict(weights), (x, times, cond.tokens)).sample
        return (a + s) * v + (s - a) * x

    def decode(self, x_0: Tensor) -> Tensor:
        """[-1, 1] to [0, 1], clipped."""
        return (x_0 / 2 + 0.5).clamp(0, 1)


@torch.no_grad()
def largest_difference(pipeline: StableDiffusionPipeline) -> float:
    """Between diffusers' DDIM without noise and Euler's steps on the policy's velocity, over a whole path."""
    policy, scheduler = UNetPolicy(pipeline), pipeline.scheduler
    cond = policy.read([wish.text for wish in LEARNT[:4]])
    scheduler.set_timesteps(20)
    x = torch.randn(4, *policy.latent_shape, generator=torch.Generator().manual_seed(0))
    alpha_bar = scheduler.alphas_cumprod
    factor = alpha_bar.sqrt() + (1 - alpha_bar).sqrt()
    x_t, largest = x / factor[scheduler.timesteps[0]], 0.0
    for now, then in pairwise(scheduler.timesteps.tolist()):
        x = scheduler.step(pipeline.unet(x, now, cond.tokens).sample, now, x, eta=0.0).prev_sample
        t, t_next = float(policy.grid[now]), float(policy.grid[then])
        x_t = x_t + (t_next - t) * policy.velocity({}, x_t, torch.full((4,), t), cond)
        largest = max(largest, float((x / factor[then] - x_t).abs().max()))
    return largest
