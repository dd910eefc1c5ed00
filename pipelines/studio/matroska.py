"""A plain Matroska writer, laid out as Azure Kinect recordings are: raw tracks, tags, attachments, short clusters.

PyAV's own writer keeps whole milliseconds and refuses the device's `b16g` depth, so the few elements needed are
written here.

source  Matroska specification, RFC 9559; Azure Kinect, "Use Azure Kinect Sensor SDK to record file format"
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

TICK_NS = 1000                          # all times are written in whole microseconds
CLUSTER_US = 32_000                     # block times count from their cluster in 16 bits
VIDEO, SUBTITLE = 1, 0x11
UNKNOWN_SIZE = b"\x01" + b"\xff" * 7


@dataclass(frozen=True)
class Track:
    """One track; `fourcc` names its raw format ("MJPG", "NV12", "b16g" ...)."""

    name: str
    fourcc: str
    width: int
    height: int
    fps: float
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Attachment:
    name: str
    content: bytes
    tags: dict[str, str] = field(default_factory=dict)


class MatroskaWriter:
    """Writes blocks as they come; `close` writes the duration, so a file never closed looks like one cut off.

    Use it in a `with` block. Blocks are given in order of time.
    """

    def __init__(self, path: Path, tracks: list[Track], tags: dict[str, str],
                 attachments: tuple[Attachment, ...] = ()) -> None:
        self._file = path.open("wb")
        self._last_us = 0
        self._cluster_us = 0
        self._blocks: list[bytes] = []
        self._file.write(_element(0x1A45DFA3, _number(0x4286, 1), _number(0x42F7, 1), _number(0x42F2, 4),
                                  _number(0x42F3, 8), _text(0x4282, "matroska"), _number(0x4287, 4),
                                  _number(0x4285, 2)))
        self._file.write(_id(0x18538067) + UNKNOWN_SIZE)
        self._body = self._file.tell()
        described = [tags, *(track.tags for track in tracks), *(attachment.tags for attachment in attachments)]
        parts = {
            0x1549A966: [_number(0x2AD7B1, TICK_NS), _text(0x4D80, "anr"), _text(0x5741, "anr"),
                         _text(0x7BA9, tags.get("title", "")), _element(0x4489, struct.pack(">d", 0.0))],
            0x1654AE6B: [_track(number, track) for number, track in enumerate(tracks, 1)],
            0x1941A469: [_attached(uid, attachment) for uid, attachment in enumerate(attachments, 1)],
            0x1254C367: [_tag(*target, name, text) for target, given
                         in zip(_targets(len(tracks), len(attachments)), described) for name, text in given.items()],
        }
        elements = {name: _element(name, *content) for name, content in parts.items() if content}
        self._file.write(_seek_head(elements))
        self._duration = self._file.tell() + len(elements[0x1549A966]) - 8
        self._file.write(b"".join(elements.values()))

    def add(self, track: int, time_us: int, content: bytes) -> None:
        """One picture of the track with this index (from 0)."""
        if self._blocks and time_us - self._cluster_us >= CLUSTER_US:
            self._write_cluster()
        if not self._blocks:
            self._cluster_us = time_us
        since = struct.pack(">h", time_us - self._cluster_us)
        self._blocks.append(_element(0xA3, bytes([0x80 | (track + 1)]), since, b"\x80", content))
        self._last_us = max(self._last_us, time_us)

    def _write_cluster(self) -> None:
        if self._blocks:
            self._file.write(_element(0x1F43B675, _number(0xE7, self._cluster_us), *self._blocks))
            self._blocks = []

    def close(self) -> None:
        self._write_cluster()
        end = self._file.tell()
        self._file.seek(self._duration)
        self._file.write(struct.pack(">d", float(self._last_us)))
        self._file.seek(self._body - 8)
        self._file.write(struct.pack(">Q", (1 << 56) | (end - self._body)))
        self._file.close()

    def __enter__(self) -> MatroskaWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def _targets(tracks: int, attachments: int) -> list[tuple[str, int, int]]:
    """(kind, element id, uid) of what tags can be about: the file, then every track and attachment."""
    return [("", 0, 0), *(("TRACK", 0x63C5, uid) for uid in range(1, tracks + 1)),
            *(("ATTACHMENT", 0x63C6, uid) for uid in range(1, attachments + 1))]


def _seek_head(elements: dict[int, bytes]) -> bytes:
    """Where each element begins, counted from behind the segment's own header."""
    def written(at: int) -> bytes:
        entries = []
        for name, element in elements.items():
            entries.append(_element(0x4DBB, _element(0x53AB, _id(name)), _element(0x53AC, struct.pack(">Q", at))))
            at += len(element)
        return _element(0x114D9B74, *entries)

    return written(len(written(0)))


def _track(number: int, track: Track) -> bytes:
    parts = [_number(0xD7, number), _number(0x73C5, number), _number(0x9C, 0), _text(0x536E, track.name)]
    if not track.width:                                  # the motion sensor: samples in a subtitle track
        return _element(0xAE, *parts, _number(0x83, SUBTITLE), _text(0x86, track.fourcc))
    header = struct.pack("<IiiHH4sIiiII", 40, track.width, track.height, 1, 0, track.fourcc.encode(), 0, 0, 0, 0, 0)
    return _element(0xAE, *parts, _number(0x83, VIDEO), _text(0x86, "V_MS/VFW/FOURCC"), _element(0x63A2, header),
                    _number(0x23E383, round(1e9 / track.fps)),
                    _element(0xE0, _number(0xB0, track.width), _number(0xBA, track.height)))


def _attached(uid: int, attachment: Attachment) -> bytes:
    return _element(0x61A7, _text(0x466E, attachment.name), _text(0x4660, "application/octet-stream"),
                    _element(0x465C, attachment.content), _number(0x46AE, uid))


def _tag(kind: str, target: int, uid: int, name: str, text: str) -> bytes:
    aim = _element(0x63C0, *((_text(0x63CA, kind), _number(target, uid)) if kind else ()))
    return _element(0x7373, aim, _element(0x67C8, _text(0x45A3, name), _text(0x4487, text)))


def _element(name: int, *content: bytes) -> bytes:
    body = b"".join(content)
    return _id(name) + struct.pack(">Q", (1 << 56) | len(body)) + body


def _id(name: int) -> bytes:
    return name.to_bytes((name.bit_length() + 7) // 8, "big")


def _number(name: int, value: int) -> bytes:
    return _element(name, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _text(name: int, value: str) -> bytes:
    return _element(name, value.encode())
