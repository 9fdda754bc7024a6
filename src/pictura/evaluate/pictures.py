"""Picture files in, what every scorer sees out: one size, on light grey; and ways to make them worse.

Letters N pictures, H W size.
Units   float32 in [0, 1], RGB.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pictura.core import images
from pictura.core.errors import ConfigError, DataError
from pictura.data.guard import decode, read_file
from pictura.data.resize import to_square

Pictures = NDArray[np.float32]
"""(N, 3, H, W) float32 in [0, 1]."""


def load_pictures(paths: Sequence[Path], size: int = 64) -> Pictures:
    """Read painted pictures, which must all have one size, and scale them to what the scorers take.

    Args:
        paths: files of any format that `data.guard` reads; transparency is laid on light grey (0.8).
        size: side of the result in pixels.

    Returns:
        (N, 3, size, size), scaled by Lanczos.

    Raises:
        DataError: there is no path, a file cannot be read, a picture is not square, or sizes differ.
        ConfigError: the size is below 1.
    """
    _some(paths, size)
    rows: list[Pictures] = []
    first: tuple[int, int] | None = None
    for path in paths:
        picture = decode(read_file(path), str(path))
        first = first or picture.size
        if picture.size != first:
            raise DataError(
                f"{path} has {_by(picture.size)} pixels, {paths[0]} has {_by(first)}. "
                "Score pictures of one size together, since resizing changes the numbers."
            )
        if picture.width != picture.height:
            raise DataError(
                f"{path} has {_by(picture.size)} pixels, but scorers read squares. Paint or cut squares."
            )
        rows.append(images.on_background(images.resize(images.from_pil([picture]), (size, size))))
    return np.clip(np.concatenate(rows), 0, 1)


def load_references(paths: Sequence[Path], size: int = 64) -> Pictures:
    """Read real pictures of any sizes as training does: `data.resize.to_square`, then light grey.

    Args:
        paths: files of any format that `data.guard` reads.
        size: side of the result in pixels.

    Returns:
        (N, 3, size, size).

    Raises:
        DataError: there is no path, or a file cannot be read.
        ConfigError: the size is below 1.
    """
    _some(paths, size)
    rgba = [to_square(decode(read_file(path), str(path)), size) for path in paths]
    return np.clip(images.on_background(images.from_uint8(np.stack(rgba))), 0, 1)


def check_pictures(pictures: NDArray[np.floating], where: str) -> None:
    """Refuse what is no batch of pictures.

    Args:
        pictures: should be (N, 3, H, W) float in [0, 1], N at least 1.
        where: what they are called in messages ("generated").

    Raises:
        DataError: shape, type or range is another, or a value is NaN.
    """
    if pictures.ndim != 4 or pictures.shape[1] != 3 or not np.issubdtype(pictures.dtype, np.floating):
        raise DataError(
            f"The {where} pictures must be float of shape (N, 3, H, W); "
            f"got {pictures.dtype} of shape {pictures.shape}."
        )
    if pictures.size == 0:
        raise DataError(f"There are no {where} pictures.")
    good_N = ((pictures >= 0) & (pictures <= 1)).reshape(len(pictures), -1).all(axis=1)
    if not good_N.all():
        raise DataError(
            f"The {where} pictures must lie in [0, 1]; "
            f"picture {int(np.argmin(good_N))} holds NaN or other values."
        )


def blur(pictures: Pictures, radius: float) -> Pictures:
    """Blur with a Gaussian: what is worse than real pictures in sharpness alone, for ceilings of tables.

    Args:
        pictures: (N, 3, H, W).
        radius: standard deviation in pixels; 0 changes nothing. Beyond the edge the edge goes on.

    Raises:
        ConfigError: the radius is negative or not finite.
    """
    if not (0 <= radius < float("inf")):
        raise ConfigError(f"radius must be a number of pixels from 0; got {radius}.")
    if radius == 0:
        return pictures
    reach = int(np.ceil(4 * radius))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / radius) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    return np.clip(_along(_along(pictures, kernel, 3), kernel, 2), 0, 1)


def low_resolution(pictures: Pictures, factor: int) -> Pictures:
    """Scale down by `factor` and up again: what is worse than real pictures in detail alone.

    Args:
        pictures: (N, 3, H, W), H and W multiples of `factor`.
        factor: from 1, which changes nothing.

    Raises:
        ConfigError: the factor is below 1 or does not divide the sides.
    """
    height, width = pictures.shape[2:]
    if factor < 1 or height % factor or width % factor:
        raise ConfigError(f"factor must divide both sides, {width} and {height}; got {factor}.")
    return images.resize(images.resize(pictures, (width // factor, height // factor)), (width, height))


def _along(pictures: Pictures, kernel: NDArray[np.float32], axis: int) -> Pictures:
    reach, side = len(kernel) // 2, pictures.shape[axis]
    take = np.clip(np.arange(-reach, side + reach), 0, side - 1)
    padded = np.moveaxis(pictures, axis, -1)[..., take]
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=-1)
    return np.moveaxis(windows @ kernel, -1, axis).astype(np.float32)


def _some(paths: Sequence[Path], size: int) -> None:
    if not paths:
        raise DataError("There is no picture to score. Give a folder that holds some.")
    if size < 1:
        raise ConfigError(f"size must be at least 1 pixel; got {size}.")


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
