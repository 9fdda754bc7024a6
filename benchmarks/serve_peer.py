"""The peer of `serve.py`: a diffusers pipeline behind FastAPI with a lock, as most small servers are made.

    python -m benchmarks.serve_peer PORT

The network has the width, depth, tokens, steps and guidance of the embedded `flow`, and random weights; it is
told a class instead of a sentence, so that it reads no text. Needs diffusers (pip install diffusers).
"""

import base64
import io
import sys
import threading
from typing import Any

import torch
import uvicorn
from diffusers import AutoencoderKL, DiTPipeline, DiTTransformer2DModel, DPMSolverMultistepScheduler
from fastapi import FastAPI
from PIL import Image

STEPS, GUIDANCE = 12, 4.0


def build() -> Any:
    """The pipeline, on two threads at most."""
    torch.manual_seed(0)
    transformer = DiTTransformer2DModel(
        num_attention_heads=3,
        attention_head_dim=64,
        in_channels=32,
        out_channels=32,
        num_layers=6,
        sample_size=8,
        patch_size=1,
    )
    vae = AutoencoderKL(
        latent_channels=32,
        block_out_channels=(40, 40, 80, 128),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=8,
    )
    pipeline = DiTPipeline(
        transformer=transformer.eval(), vae=vae.eval(), scheduler=DPMSolverMultistepScheduler()
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def make_app() -> FastAPI:
    """The server."""
    app, pipeline, lock = FastAPI(), build(), threading.Lock()

    @app.post("/v1/images/generations")
    def generate(body: dict[str, Any]) -> dict[str, Any]:
        with lock:
            made = pipeline(
                class_labels=[1] * body.get("n", 1), num_inference_steps=STEPS, guidance_scale=GUIDANCE
            )
        data = []
        for image in made.images:
            file = io.BytesIO()
            image.resize((256, 256), Image.Resampling.LANCZOS).save(file, "PNG")
            data.append({"b64_json": base64.b64encode(file.getvalue()).decode()})
        return {"created": 0, "data": data}

    return app


if __name__ == "__main__":
    uvicorn.run(make_app(), port=int(sys.argv[1]), log_level="warning")
