"""Where networks compute."""

import torch

from pictura.core.errors import DeviceError


def check_device(device: str) -> None:
    """Refuse CUDA where there is none.

    Raises:
        DeviceError: there is no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("Device 'cuda' was asked for, but torch finds no CUDA device. Use device='cpu'.")
