"""Feature networks: pictures in, vectors out, in which sets of pictures are compared.

Every number that depends on one carries its hash (`local_name`): another hash, another yardstick. No
conclusion rests on one network; tables show several, and what they agree on counts.

    random       a convolutional network that never learnt anything; the same weights everywhere and always
    autoencoder  the encoder of a model's own autoencoder. Self-supervised, but no independent judge of models
                 that paint in its latents: they are made of what it can see.

Source  Naeem et al. 2020 (arXiv:2002.09797) for random networks as feature spaces where no pretrained one
        fits the domain.
Letters N pictures, H W size, D width of the features.
Units   pictures float32 in [0, 1], RGB.
"""

import hashlib
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError, DataError, DeviceError, ModelError, did_you_mean
from pictura.encode.autoencoder import Autoencoder
from pictura.evaluate.pictures import Pictures, check_pictures
from pictura.families.flow.backend import FlowParts
from pictura.store import models

RANDOM_SEED = 20_260_101
"""Of the weights of `random`; never change it, or old numbers cannot be compared."""
RANDOM_WIDTHS = (32, 64, 64, 96)
RANDOM_SCALE = 16.0
"""Brings the features of pictures to the order of 1, below which the kernel of KD sees means alone."""


class FeatureNet(Protocol):
    """What turns pictures into features."""

    name: str
    hash: str
    """First 12 hex digits of the SHA-256 of its weights."""
    dim: int
    """D."""

    def __call__(self, images: Pictures) -> NDArray[np.float32]:
        """(N, 3, H, W) in [0, 1] to (N, D)."""
        ...


class TorchNet:
    """A torch module as a `FeatureNet`."""

    def __init__(self, module: nn.Module, *, name: str, dim: int, device: str = "cpu") -> None:
        """Wrap `module`, which maps (N, 3, H, W) to (N, dim); it is put in evaluation mode.

        Raises:
            DeviceError: there is no such device.
        """
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise DeviceError(
                f"Device {device!r} was asked for, but torch finds no CUDA device. Use device='cpu'."
            )
        self.name, self.dim, self.hash = name, dim, weights_hash(module)
        self._module = module.eval().requires_grad_(False).to(device)
        self._device = device

    @torch.no_grad()
    def __call__(self, images: Pictures) -> NDArray[np.float32]:
        """(N, 3, H, W) in [0, 1] to (N, D)."""
        out: Tensor = self._module(torch.from_numpy(np.ascontiguousarray(images)).to(self._device))
        return out.float().cpu().numpy()


class RandomConvs(nn.Module):
    """Four halvings by 4x4 convolutions; the means over places after each, laid side by side.

    Every filter sums to zero over its places, so that edges speak and not flat areas: without this, blurring
    by one pixel hardly moves FD more than the step from training to test pictures does.
    """

    def __init__(self, seed: int = RANDOM_SEED, widths: tuple[int, ...] = RANDOM_WIDTHS) -> None:
        super().__init__()
        pairs = zip((3, *widths), widths, strict=False)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1, bias=False) for a, b in pairs)
        bits = np.random.Philox(seed)  # raw bits and exact arithmetic, so that every version makes the same
        for weight in self.parameters():
            bound = (6 / weight[0].numel()) ** 0.5  # uniform, of variance 2 / inputs
            share = (bits.random_raw(weight.numel()) >> np.uint64(40)) / 2.0**24
            values = (share * 2 - 1).reshape(tuple(weight.shape))
            values = (values - values.mean(axis=(2, 3), keepdims=True)) * bound
            weight.data.copy_(torch.from_numpy(values.astype(np.float32)))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] to (N, D), D the sum of the widths."""
        x, means = images * 2 - 1, []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
            means.append(x.mean(dim=(2, 3)))
        return torch.cat(means, dim=1) * RANDOM_SCALE


class PooledLatents(nn.Module):
    """The latents of an autoencoder, which it takes over, averaged over 2x2 places and laid flat."""

    def __init__(self, autoencoder: Autoencoder) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        del autoencoder.decoder, autoencoder.patch_out  # so that the hash is of the encoder alone

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] to (N, C * h / 2 * w / 2)."""
        opaque = torch.ones_like(images[:, :1])
        channels = self.autoencoder.config.image_channels
        x = torch.cat([images, opaque], dim=1)[:, :channels]
        return F.avg_pool2d(self.autoencoder.encode(x), 2).flatten(1)


def random_net(device: str = "cpu") -> TorchNet:
    """The network `random`: D = 256, made on the spot, the same on every machine."""
    return TorchNet(RandomConvs(), name="random", dim=sum(RANDOM_WIDTHS), device=device)


def autoencoder_net(device: str = "cpu", *, model: str = "default", size: int = 64) -> TorchNet:
    """The network `autoencoder` of a model folder.

    Args:
        device: ``cpu`` or ``cuda``.
        model: name or folder of a model that paints in latents.
        size: side of the pictures in pixels; D = C * (size / factor / 2)^2, for the embedded default 512.

    Raises:
        ModelNotFoundError: there is no such model.
        ModelError: it is damaged, or has no autoencoder.
    """
    autoencoder = FlowParts.from_folder(models.resolve(model)).autoencoder
    if not isinstance(autoencoder, Autoencoder):
        raise ModelError(f"The model {model!r} paints pixels and has no autoencoder to take features from.")
    config = autoencoder.config
    dim = config.latent_channels * (size // config.factor // 2) ** 2
    return TorchNet(PooledLatents(autoencoder), name="autoencoder", dim=dim, device=device)


NETS: dict[str, Callable[[str], FeatureNet]] = {"random": random_net, "autoencoder": autoencoder_net}
"""Name to what loads it on a device."""


def load_net(name: str, device: str = "cpu") -> FeatureNet:
    """The feature network of a name.

    Raises:
        ConfigError: no network has it.
        DeviceError: there is no such device.
    """
    if name not in NETS:
        raise ConfigError(f"No feature network is named {name!r}. {did_you_mean(name, NETS)}")
    return NETS[name](device)


def features_of(net: FeatureNet, images: Pictures, batch: int = 64) -> NDArray[np.float32]:
    """Features of any number of pictures, a batch at a time.

    Args:
        net: the network.
        images: (N, 3, H, W) in [0, 1].
        batch: pictures per call.

    Returns:
        (N, D).

    Raises:
        DataError: `images` are no pictures, or the network gives NaN, infinity or another shape.
        ConfigError: the batch is below 1.
    """
    if batch < 1:
        raise ConfigError(f"batch must be at least 1; got {batch}.")
    check_pictures(images, "given")
    out_ND = np.empty((len(images), net.dim), dtype=np.float32)
    for start in range(0, len(images), batch):
        rows = np.asarray(net(images[start : start + batch]))
        if rows.shape != (min(batch, len(images) - start), net.dim):
            raise DataError(
                f"Feature net {net.name}[{net.hash}] should give width {net.dim}; it gave shape {rows.shape}."
            )
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            raise DataError(
                f"Feature net {net.name}[{net.hash}] gives NaN or infinity for picture "
                f"{start + int(np.argmin(finite))} of {len(images)}. "
                "Leave that picture out, or repair the network."
            )
        out_ND[start : start + batch] = rows
    return out_ND


def local_name(metric: str, net: FeatureNet) -> str:
    """What a number is called in front of people: ``FD-local[0123456789ab]``, never FID."""
    return f"{metric}-local[{net.hash}]"


def weights_hash(module: nn.Module) -> str:
    """First 12 hex digits of the SHA-256 over names, shapes and float32 values of all weights and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        array = np.ascontiguousarray(value.detach().float().cpu().numpy(), dtype="<f4")
        digest.update(f"{name} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:12]
