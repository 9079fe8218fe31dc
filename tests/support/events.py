"""Event files of TensorBoard, read back by their framing: length, its checksum, event, its checksum."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TABLE = []
for _byte in range(256):
    for _ in range(8):
        _byte = _byte >> 1 ^ (0x82F63B78 if _byte & 1 else 0)
    _TABLE.append(_byte)


def _masked_crc(data: bytes) -> int:
    """Return the checksum CRC-32C as TFRecord masks it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _records(data: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(data):
        head = data[place : place + 8]
        (length,) = struct.unpack("<Q", head)
        body = data[place + 12 : place + 12 + length]
        checks = data[place + 8 : place + 12] + data[place + 12 + length : place + 16 + length]
        assert struct.unpack("<II", checks) == (_masked_crc(head), _masked_crc(body))
        place += 16 + length
        yield body


def events(folder: Path) -> list[Any]:
    """Return the events of a folder's files, in the order in which TensorBoard reads them."""
    from tensorboardX.proto.event_pb2 import Event

    return [Event.FromString(body) for path in sorted(folder.iterdir()) for body in _records(path.read_bytes())]


def shown(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the points (step, value) of each curve that TensorBoard shows: a start makes later steps void."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for event in events(folder):
        if event.HasField("session_log"):
            for points in curves.values():
                points[:] = [point for point in points if point[0] < event.step]
        for value in event.summary.value:
            if value.HasField("simple_value"):
                curves.setdefault(value.tag, []).append((event.step, value.simple_value))
    return {name: points for name, points in curves.items() if points}
