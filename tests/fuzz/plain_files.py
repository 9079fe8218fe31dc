"""Files of the simpler formats, well formed but senseless: IDX, safetensors, TOML and CSV."""

from __future__ import annotations

import gzip
import json
import struct

from tests.fuzz.damage import ANY, Corpus, Random, pick
from tests.fuzz.json_values import mutate_json

_LENGTHS = (0, 1, 2, 3, 4, 0x7FFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def damage_unpacked(random: Random, corpus: Corpus) -> bytes:
    """Damage what a gzip file holds, and pack it again."""
    return gzip.compress(ANY[int(random.integers(len(ANY)))](random, [gzip.decompress(pick(random, corpus))]), 1)


def idx_header(random: Random, corpus: Corpus) -> bytes:
    """Change type, rank and lengths of an IDX file; at times it expands to megabytes, or has many parts."""
    body = gzip.decompress(pick(random, corpus))
    rank = int(random.integers(6))
    lengths = [_LENGTHS[int(random.integers(len(_LENGTHS)))] for _ in range(rank)]
    header = struct.pack(f">4B{rank}I", 0, 0, int(random.integers(16)), rank, *lengths)
    choice = random.random()
    if choice < 0.1:
        return gzip.compress(body + bytes(int(2 ** random.uniform(10, 24))), 1)
    if choice < 0.2:
        return gzip.compress(body[:5]) + gzip.compress(b"") * int(random.integers(20_000)) + gzip.compress(body[5:])
    return gzip.compress(header + body[4 + 4 * body[3] :], 1)


def safetensors_header(random: Random, corpus: Corpus) -> bytes:
    """Change what the header of a safetensors file says of its tensors."""
    data = pick(random, corpus)
    (length,) = struct.unpack_from("<Q", data)
    header = mutate_json(random, json.loads(data[8 : 8 + length]))
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    if random.random() < 0.1:
        text = text.replace(b"F32", (b"BF16", b"F8_E4M3", b"BOOL", b"I64", b"F64", b"U8")[int(random.integers(6))])
    return struct.pack("<Q", len(text) + (0, 0, 0, 1, 2**40)[int(random.integers(5))]) + text + data[8 + length :]


_TOML = (
    *('layers = "{long}"', "layers = {deep}", "epochs = {digits}", "l2 = {digits}.0", "l2 = nan", "epochs = 1e999"),
    *("{long} = 1", '"{long}" = 1', "{dotted} = 1", "[{dotted}]", "[[layers]]", "layers.a = 1", "a = {{{{}}}}"),
    *("dropout = true", "batch_norm = 1", "batch_norm = [true]", "layers = [1, [2, [3]]]", "seed = -1"),
    *(
        "layers = 1979-05-27",
        "layers = 07:32:00",
        'backend = "\\u0000"',
        'save = "../../x"',
        "layers = '''",
        "é = 1",
    ),
    *("{wide}", "layers = {inline}", 'curve = "{escapes}"', "config = 'self.toml'", "help = true", "json = 'yes'"),
)


def toml_lines(random: Random, corpus: Corpus) -> bytes:
    """Add lines that are valid TOML of another kind than options, or nearly valid."""
    count = int(2 ** random.uniform(0, 17))
    words = {
        "long": "x" * count,
        "deep": "[" * count + "]" * count,
        "digits": "9" * count,
        "dotted": ".".join("a" * min(count, 20_000)),
        "wide": "\n".join(f"k{number} = {number}" for number in range(min(count, 20_000))),
        "inline": "{a=" * count + "1" + "}" * count,
        "escapes": "\\u0041" * count,
    }
    line = _TOML[int(random.integers(len(_TOML)))].format(**words)
    before = pick(random, corpus).decode() if random.random() < 0.5 else ""
    return f"{before}\n{line}\n".encode()


_CELLS = (
    *(
        "1949-13",
        "0000-01",
        "9999-12",
        "١٩٤٩-01",
        "1e400",
        "nan",
        "inf",
        "-inf",
        "0x10",
        "1_000",
        "",
        " 1",
        "1,2",
        "٣",
    ),
    *('"', '"1949-01', "\0", "\r", "\n", "1e5", "5e-324", "1949-01", "-.5", "+1.", ".", "\x1b[31m", "\u2028"),
)


def csv_cells(random: Random, corpus: Corpus) -> bytes:
    """Change cells of a CSV file, at times to very long ones."""
    lines = [line.split(",") for line in pick(random, corpus).decode().split("\n")]
    for _ in range(int(random.integers(1, 4))):
        cells = lines[int(random.integers(len(lines)))]
        long = ("1", "9", ".", "1.", '"', "e", "0", "é")[int(random.integers(8))] * int(2 ** random.uniform(0, 18))
        odd = _CELLS[int(random.integers(len(_CELLS)))]
        cells[int(random.integers(len(cells)))] = long + odd if random.random() < 0.4 else odd
    return "\n".join(",".join(cells) for cells in lines).encode("utf-8", "surrogatepass")
