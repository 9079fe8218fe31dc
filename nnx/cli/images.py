"""Reading pictures, from files that may not be what they claim, into the shape that a model takes."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnx.errors import DataError, FileFormatError, excerpt
from nnx.files import check_readable

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
"""What is opened: formats that Pillow reads by itself, without other programs."""

PIXEL_LIMIT = 50_000_000
SCAN_LIMIT = 100
"""Passes over a JPEG picture. Usual are 1 to 10; thousands fit into a small file, and each goes over all pixels."""

_MODES = {1: "L", 3: "RGB"}


def read_image(path: Path, shape: tuple[int, ...], invert: bool = False) -> NDArray[np.float32]:
    """Read a picture as numbers in [0, 1], stretched to a model's input shape.

    Args:
        path: a picture; of several frames, the first is read. What is transparent becomes white.
        shape: (height, width, channels); 1 channel is grey, 3 are red, green and blue.
        invert: exchange dark and bright.

    Raises:
        DataError: the model does not take pictures.
        FileFormatError: the file is missing, is no picture, is damaged, or has too many pixels.
    """
    if len(shape) != 3 or shape[2] not in _MODES:
        raise DataError(f"predict needs a model of pictures (height, width, 1 or 3), got one for inputs {shape}.")
    height, width, channels = shape
    pixels = np.asarray(_open(path, _MODES[channels], (width, height)), np.float32) / np.float32(255)
    return (1 - pixels if invert else pixels).reshape(shape)


def _open(path: Path, mode: str, size: tuple[int, int]) -> Image:
    from PIL import Image, UnidentifiedImageError

    check_readable(path, "")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with _Bounded(path.open("rb", buffering=0)) as file, Image.open(file, formats=FORMATS) as image:
                _check_size(path, image.size)
                _check_scans(path, image)
                return _convert(image, mode).resize(size, Image.Resampling.BILINEAR)
    except FileFormatError:
        raise
    except UnidentifiedImageError as error:
        raise FileFormatError(f"{path}: expected a picture ({', '.join(FORMATS)}), got something else.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(path) from error
    except Exception as error:  # Pillow's decoders fail on damaged files with errors of many kinds
        raise FileFormatError(f"{path}: the picture is damaged: {excerpt(str(error))}.") from error


class _Bounded(io.BufferedReader):
    """A file of which nobody can ask for more than is left: Python would first make room for all that is asked."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return at most `size` bytes; without it, all that are left."""
        left = max(os.fstat(self.fileno()).st_size - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))


def _check_size(path: Path, size: tuple[int, int]) -> None:
    if size[0] * size[1] > PIXEL_LIMIT:
        raise _too_large(path, f", got {size[0]} x {size[1]}")


def _check_scans(path: Path, image: Image) -> None:
    if image.format in ("JPEG", "MPO") or image.info.get("compression") == "jpeg":
        scans = path.read_bytes().count(b"\xff\xda")
        if scans > SCAN_LIMIT:
            raise FileFormatError(
                f"{path}: expected at most {SCAN_LIMIT} scans, got {scans}; save the picture anew."
            )


def _too_large(path: Path, got: str = "") -> FileFormatError:
    return FileFormatError(f"{path}: expected at most {PIXEL_LIMIT:,} pixels{got}; make the picture smaller.")


def _convert(image: Image, mode: str) -> Image:
    """Turn a picture as its camera was held, put it on white, and convert it to 8 bits per channel."""
    from PIL import Image, ImageOps

    ImageOps.exif_transpose(image, in_place=True)
    upright = image
    if upright.mode.startswith("I"):  # 16 bits of grey, which Pillow would cut off at 255
        deep: NDArray[Any] = np.asarray(upright).clip(0, 65535)
        upright = Image.fromarray((deep // 257).astype(np.uint8))
    if upright.has_transparency_data:
        layer = upright if upright.mode == "RGBA" else upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return upright.convert(mode)
