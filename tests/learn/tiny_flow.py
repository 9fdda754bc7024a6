"""A flow policy of tiny untrained networks, made without a model folder."""

import torch

from pictura.encode.autoencoder import Autoencoder, AutoencoderConfig
from pictura.encode.text_encoder import TextEncoder, TextEncoderConfig
from pictura.encode.tokenizer import Tokenizer
from pictura.families.flow.backend import FlowParts
from pictura.families.flow.model import FlowConfig, FlowTransformer
from pictura.families.flow.policy import FlowPolicy
from pictura.learn.actors import Actors
from pictura.learn.weights import LowRank


def flow_actors() -> Actors:
    """About 60 thousand weights; a change of rank 2 is learnt."""
    torch.manual_seed(0)
    tokenizer = Tokenizer.train(("a red fox", "a blue ball"), vocab_size=300, max_tokens=16)
    network = FlowTransformer(
        FlowConfig(latent_channels=4, text_width=16, width=32, num_blocks=1, num_heads=2)
    )
    text_encoder = TextEncoder(
        TextEncoderConfig(vocab_size=tokenizer.vocab_size, width=16, num_blocks=1, num_heads=2)
    )
    autoencoder = Autoencoder(
        AutoencoderConfig(latent_channels=4, encoder_widths=(8, 8), decoder_widths=(8, 8))
    )
    for weight in (*network.parameters(), *autoencoder.parameters()):
        torch.nn.init.normal_(weight, std=0.1)  # those that start at zero would hide mistakes
    parts = FlowParts(network, text_encoder, autoencoder)
    policy = FlowPolicy(parts, tokenizer, grid=(4, 4), device=torch.device("cpu"))
    return Actors(policy, LowRank(policy.learnable, rank=2))
