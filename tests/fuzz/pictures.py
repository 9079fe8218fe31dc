"""Pictures of every format and mode that are opened, and larger ones than anyone should send."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from tests.fuzz.damage import ANY, Corpus, Random, pick

_SAVED = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "GIF": ("L", "P", "RGB"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"),
    "PPM": ("1", "L", "RGB", "I"),
}
_COMPRESSIONS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "group4", "jpeg")


def samples() -> list[bytes]:
    """Return small pictures: each format in each mode that it can be saved in."""
    pixels = np.arange(24 * 20 * 3, dtype=np.uint8).reshape(24, 20, 3)
    found = [encode(_in_mode(pixels, mode), kind) for kind, modes in _SAVED.items() for mode in modes]
    frames = [Image.fromarray(np.roll(pixels, step, 0)) for step in range(3)]
    moving = {"save_all": True, "append_images": frames[1:]}
    found += [encode(frames[0], kind, **moving) for kind in ("GIF", "WEBP", "TIFF", "PNG")]
    turned = Image.Exif()
    turned[0x0112] = 6
    found += [encode(frames[0], kind, exif=turned) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    found.append(encode(frames[0], "JPEG", progressive=True))
    return found


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return a picture as the contents of a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _in_mode(pixels: np.ndarray, mode: str) -> Image.Image:
    if mode in ("I;16", "I", "F"):
        deep = pixels[..., 0].astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]) * 200
        return Image.fromarray(deep)
    image = Image.fromarray(pixels)
    return image.convert("L").convert(mode) if mode == "LA" else image.convert(mode)


def another_size(random: Random, corpus: Corpus) -> bytes:
    """Make a picture say that it is larger: bytes 16 to 24 hold width and height in PNG, others elsewhere."""
    data = bytearray(pick(random, corpus))
    sizes = (0, 1, 7000, 7071, 8000, 65500, 65535, 100_000, 2**31 - 1, 2**32 - 1)
    width, height = (sizes[int(random.integers(len(sizes)))] for _ in range(2))
    if data.startswith(b"\x89PNG"):
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif data.startswith(b"BM"):
        data[18:26] = struct.pack("<II", width, height)
    elif data.startswith(b"GIF"):
        data[6:10] = struct.pack("<HH", width % 65536, height % 65536)
    elif data.startswith(b"\xff\xd8") and b"\xff\xc0" in data:
        place = data.index(b"\xff\xc0") + 5
        data[place : place + 4] = struct.pack(">HH", height % 65536, width % 65536)
    elif data.startswith(b"P"):
        lines = data.split(b"\n", 2)
        lines[1] = b"%d %d" % (width, height)
        data = bytearray(b"\n".join(lines))
    return bytes(data)


def plain_ppm(random: Random, corpus: Corpus) -> bytes:
    """Make a picture in the formats that are text."""
    del corpus
    kind, width, height = int(random.integers(1, 8)), int(random.integers(1, 40)), int(random.integers(1, 40))
    most = (1, 255, 65535, 0, 10**9)[int(random.integers(5))]
    body = " ".join(map(str, random.integers(0, max(most, 1) + 2, int(random.integers(3 * width * height + 2)))))
    return f"P{kind}\n# {'x' * int(random.integers(300))}\n{width} {height}\n{most}\n{body}".encode()


def damage_compressed_tiff(random: Random, corpus: Corpus) -> bytes:
    """Damage a TIFF file of one of the compressions."""
    del corpus
    method = _COMPRESSIONS[int(random.integers(len(_COMPRESSIONS)))]
    image = Image.effect_noise((40, 30), 50).convert("1" if method == "group4" else "RGB")
    return ANY[int(random.integers(len(ANY)))](random, [encode(image, "TIFF", compression=method)])
