"""Motion-capture files (Biovision Hierarchy): read, written, and posed.

Grammar as in the de-facto description by Meredith and Maddock, "Motion Capture File Formats Explained" (2001):
a tree of joints with offsets and channels, then one row of numbers per frame. Any channel order per joint,
positions on any joint, joints without End Site and any line ending are taken; what is malformed is refused
with its line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Motion

MAX_BYTES = 512 * 2**20
MAX_JOINTS = 2_000
MAX_VALUES = 20_000_000                 # half an hour at 120 frames per second; posing them takes some GB
AXES = {"X": 0, "Y": 1, "Z": 2}
CHANNELS = {f"{axis}{kind}".lower(): f"{axis}{kind}" for axis in AXES for kind in ("position", "rotation")}
CM_PER_M = 100.0                        # written files use centimetres, as most programs do


@dataclass(frozen=True, eq=False)
class BvhFile:
    """A motion as the file tells it: its own skeleton, units, axes and angles in degrees."""

    joint_names: tuple[str, ...]
    parents: np.ndarray                 # (J,) int; -1 for the root, parents come before children
    offsets: np.ndarray                 # (J, 3) from the parent, file units
    channels: tuple[tuple[str, ...], ...]   # per joint, "Xposition" or "Zrotation", in file order
    end_sites: tuple[tuple[int, tuple[float, float, float]], ...]  # (joint, offset of its tip)
    values: np.ndarray                  # (F, C) one row per frame, channels in file order
    frame_time_s: float

    @property
    def frame_count(self) -> int:
        return len(self.values)

    @property
    def fps(self) -> float:
        return 1.0 / self.frame_time_s


def read_bvh(path: Path) -> BvhFile:
    """Reads a BVH file; raises AnrError with line number and reason when it is not one."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise AnrError(f"{path.name} is larger than {MAX_BYTES // 2**20} MB.", hint="Cut the motion into parts.")
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    except FileNotFoundError:
        raise AnrError(f"There is no file {path}.", hint="Check the path of the BVH file.") from None
    except OSError as error:
        raise AnrError(f"{path} cannot be read: {error.strerror}.", hint="Check the path of the BVH file.") from None
    return parse_bvh(text, path.name)


def parse_bvh(text: str, name: str = "motion.bvh") -> BvhFile:
    """The same from text; `name` is for the messages."""
    lines = text.splitlines()
    try:
        return _Parser(lines).parse()
    except _Malformed as fault:
        raise AnrError(f"{name} is malformed: line {fault.line}: {fault.reason}.",
                       hint="Export the motion again as BVH, or mend that line.") from None


def write_bvh_file(path: Path, bvh: BvhFile) -> None:
    """Writes a file that reads back as the same numbers, digit for digit."""
    children: dict[int, list[int]] = {j: [] for j in range(-1, len(bvh.joint_names))}
    for j, parent in enumerate(bvh.parents):
        children[int(parent)].append(j)
    lines = ["HIERARCHY"]
    # File order must be depth-first, since the columns of the motion follow it.
    stack: list[tuple[int, int]] = [(j, 0) for j in reversed(children[-1])]
    order: list[int] = []
    closing: list[int] = []
    while stack:
        j, depth = stack.pop()
        while closing and closing[-1] >= depth:
            lines.append("  " * closing.pop() + "}")
        order.append(j)
        pad = "  " * depth
        lines += [f"{pad}{'ROOT' if depth == 0 else 'JOINT'} {bvh.joint_names[j]}", f"{pad}{{",
                  f"{pad}  OFFSET {_numbers(bvh.offsets[j])}",
                  f"{pad}  CHANNELS {len(bvh.channels[j])} {' '.join(bvh.channels[j])}".rstrip()]
        for owner, tip in bvh.end_sites:
            if owner == j:
                lines += [f"{pad}  End Site", f"{pad}  {{", f"{pad}    OFFSET {_numbers(tip)}", f"{pad}  }}"]
        closing.append(depth)
        stack += [(child, depth + 1) for child in reversed(children[j])]
    while closing:
        lines.append("  " * closing.pop() + "}")
    if order != list(range(len(order))):
        raise ValueError("joints must be in depth-first order, as a BVH file lists them")
    lines += ["MOTION", f"Frames: {bvh.frame_count}", f"Frame Time: {float(bvh.frame_time_s)!r}"]
    lines += [_numbers(row) for row in bvh.values]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_bvh(path: Path, joint_names: tuple[str, ...], parents: np.ndarray, offsets_m: np.ndarray,
              motion: Motion) -> None:
    """Writes a motion on a skeleton whose rest pose has all rotations zero.

    parents    (J,) -1 for the root
    offsets_m  (J, 3) metres from the parent's rest position; the root's own is where it rests
    motion     J joints; rotations relative to the parent, root_translation where the root is, metres, y up

    Written in centimetres, degrees, Z X Y order, rounded to 1e-7. Joints are sorted depth-first, as the format asks.
    """
    order = _depth_first(parents)
    place = {j: k for k, j in enumerate(order)}
    names = tuple(joint_names[j] for j in order)
    sorted_parents = np.array([-1 if parents[j] < 0 else place[int(parents[j])] for j in order])
    has_child = set(sorted_parents.tolist())
    angles_deg = np.degrees(_zxy_angles(motion.joint_rotations[:, order]))          # (F, J, 3)
    frame_count = len(motion.joint_rotations)
    values = np.concatenate([motion.root_translation * CM_PER_M, angles_deg.reshape(frame_count, -1)], axis=1)
    rotation = ("Zrotation", "Xrotation", "Yrotation")
    position = ("Xposition", "Yposition", "Zposition")
    write_bvh_file(path, BvhFile(
        joint_names=names, parents=sorted_parents, offsets=np.round(offsets_m[order] * CM_PER_M, 7),
        channels=tuple(position + rotation if k == 0 else rotation for k in range(len(names))),
        end_sites=tuple((k, (0.0, 0.0, 0.0)) for k in range(len(names)) if k not in has_child),
        values=np.round(values, 7), frame_time_s=1.0 / motion.fps))


def local_rotations(bvh: BvhFile) -> np.ndarray:
    """(F, J, 3, 3): each joint's rotation relative to its parent, channels applied in file order."""
    turns = np.broadcast_to(np.eye(3), (bvh.frame_count, len(bvh.joint_names), 3, 3)).copy()
    for joint, name, column in _columns(bvh):
        if name.endswith("rotation"):
            turns[:, joint] = turns[:, joint] @ _axis_rotation(AXES[name[0]], np.radians(bvh.values[:, column]))
    return turns


def local_translations(bvh: BvhFile) -> np.ndarray:
    """(F, J, 3) file units: where each joint lies in its parent's frame.

    Position channels replace the offset, as most programs write them; where they hover around zero although
    the offset is long, they are taken as added to it.
    """
    moves = np.repeat(bvh.offsets[None], bvh.frame_count, axis=0)
    placed: dict[int, np.ndarray] = {}
    for joint, name, column in _columns(bvh):
        if name.endswith("position"):
            placed.setdefault(joint, np.zeros((bvh.frame_count, 3)))[:, AXES[name[0]]] = bvh.values[:, column]
    for joint, position in placed.items():
        reach = np.linalg.norm(bvh.offsets[joint])
        added = bvh.parents[joint] >= 0 and np.median(np.linalg.norm(position, axis=1)) < 0.5 * reach
        moves[:, joint] = moves[:, joint] + position if added else position
    return moves


def pose_skeleton(bvh: BvhFile) -> tuple[np.ndarray, np.ndarray]:
    """Forward kinematics: positions (F, J, 3) in file units and global rotations (F, J, 3, 3)."""
    turns, moves = local_rotations(bvh), local_translations(bvh)
    positions, rotations = np.empty_like(moves), np.empty_like(turns)
    for j, parent in enumerate(bvh.parents):
        if parent < 0:
            positions[:, j], rotations[:, j] = moves[:, j], turns[:, j]
        else:
            positions[:, j] = positions[:, parent] + np.einsum("fab,fb->fa", rotations[:, parent], moves[:, j])
            rotations[:, j] = rotations[:, parent] @ turns[:, j]
    return positions, rotations


def has_rotations(bvh: BvhFile) -> bool:
    return any(name.endswith("rotation") for channels in bvh.channels for name in channels)


class _Malformed(Exception):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line, self.reason = line, reason


class _Parser:
    """One pass over the lines; no recursion, so deep nesting cannot overflow anything."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.at = 0                                      # index of the next line
        self.names: list[str] = []
        self.parents: list[int] = []
        self.offsets: list[list[float]] = []
        self.channels: list[tuple[str, ...]] = []
        self.end_sites: list[tuple[int, tuple[float, float, float]]] = []

    def parse(self) -> BvhFile:
        words, line = self._next("HIERARCHY")
        if words[0].upper() != "HIERARCHY" or len(words) > 1:
            raise _Malformed(line, f"expected HIERARCHY, found '{_short(words[0])}'")
        self._hierarchy()
        frame_count, frame_time_s, line = self._motion_header()
        values = self._rows(frame_count, sum(len(names) for names in self.channels), line)
        return BvhFile(tuple(self.names), np.array(self.parents), np.array(self.offsets, float).reshape(-1, 3),
                       tuple(self.channels), tuple(self.end_sites), values, frame_time_s)

    def _next(self, expected: str) -> tuple[list[str], int]:
        """Words of the next line that has any, and its number."""
        while self.at < len(self.lines):
            self.at += 1
            words = self.lines[self.at - 1].split()
            if words:
                return words, self.at
        raise _Malformed(max(1, len(self.lines)), f"the file ends where {expected} should follow")

    def _statements(self) -> Iterator[tuple[list[str], int]]:
        """Lines of the hierarchy, braces split off into statements of their own, up to MOTION."""
        while True:
            words, line = self._next("MOTION")
            if words[0].upper() == "MOTION":
                if len(words) > 1:
                    raise _Malformed(line, f"'{_short(words[1])}' after MOTION")
                return
            start = 0
            for k, word in enumerate(words):
                if word in "{}":
                    if k > start:
                        yield words[start:k], line
                    yield [word], line
                    start = k + 1
            if start < len(words):
                yield words[start:], line

    def _hierarchy(self) -> None:
        END = -2
        stack: list[int] = []                            # open joints; END while inside an End Site
        opening: int | None = None                       # a joint that was named and waits for its brace
        line = self.at
        for words, line in self._statements():
            keyword = words[0].upper()
            if opening is not None and keyword != "{":
                raise _Malformed(line, f"expected '{{', found '{_short(words[0])}'")
            inside = stack[-1] if stack else None
            if keyword == "{":
                if opening is None:
                    raise _Malformed(line, "a '{' that opens nothing")
                stack.append(opening)
                opening = None
            elif keyword == "}":
                if inside is None:
                    raise _Malformed(line, "a '}' without its '{'")
                self._check_closed(stack.pop(), line)
            elif keyword == "ROOT" or keyword == "JOINT":
                opening = self._named(words, line, inside)
            elif keyword == "END":
                if inside is None or inside == END:
                    raise _Malformed(line, "an End Site outside a joint")
                self.end_sites.append((inside, (math.nan,) * 3))
                opening = END
            elif keyword == "OFFSET" and inside is not None:
                self._offset(words, line, inside == END, inside)
            elif keyword == "CHANNELS" and inside is not None and inside != END:
                self._channels(words, line, inside)
            else:
                raise _Malformed(line, f"'{_short(words[0])}' is not part of a hierarchy")
        if stack or opening is not None:
            raise _Malformed(self.at, f"MOTION starts while {len(stack) or 1} '{{' are still open")
        if not self.names:
            raise _Malformed(line, "there is no ROOT")

    def _named(self, words: list[str], line: int, inside: int | None) -> int:
        if (words[0].upper() == "ROOT") != (inside is None):
            raise _Malformed(line, "a ROOT inside a joint" if inside is not None else "a JOINT outside the ROOT")
        if inside is None and self.names:
            raise _Malformed(line, "a second ROOT; one skeleton per file can be read")
        if inside is not None and inside < 0:
            raise _Malformed(line, "a JOINT inside an End Site")
        if len(words) < 2:
            raise _Malformed(line, f"a {words[0]} without a name")
        if len(self.names) >= MAX_JOINTS:
            raise _Malformed(line, f"more than {MAX_JOINTS} joints")
        self.names.append(" ".join(words[1:]))
        self.parents.append(-1 if inside is None else inside)
        self.offsets.append([])
        self.channels.append(())
        return len(self.names) - 1

    def _offset(self, words: list[str], line: int, at_end: bool, joint: int) -> None:
        if len(words) != 4:
            raise _Malformed(line, f"OFFSET needs 3 numbers, found {len(words) - 1}")
        x, y, z = (_number(word, line) for word in words[1:])
        if at_end:
            owner, tip = self.end_sites[-1]
            if not math.isnan(tip[0]):
                raise _Malformed(line, "a second OFFSET for one End Site")
            self.end_sites[-1] = (owner, (x, y, z))
        elif self.offsets[joint]:
            raise _Malformed(line, f"a second OFFSET for joint '{_short(self.names[joint])}'")
        else:
            self.offsets[joint] = [x, y, z]

    def _channels(self, words: list[str], line: int, joint: int) -> None:
        if self.channels[joint]:
            raise _Malformed(line, f"a second CHANNELS for joint '{_short(self.names[joint])}'")
        if len(words) < 2 or not words[1].isdecimal() or not words[1].isascii() or len(words[1]) > 3:
            raise _Malformed(line, "CHANNELS needs the number of channels first")
        if int(words[1]) != len(words) - 2:
            raise _Malformed(line, f"CHANNELS says {words[1]} but names {len(words) - 2}")
        unknown = [word for word in words[2:] if word.lower() not in CHANNELS]
        if unknown:
            raise _Malformed(line, f"'{_short(unknown[0])}' is not a channel")
        named = tuple(CHANNELS[word.lower()] for word in words[2:])
        if len(set(named)) != len(named):
            raise _Malformed(line, "a channel is named twice")
        self.channels[joint] = named

    def _check_closed(self, joint: int, line: int) -> None:
        if joint == -2:
            if math.isnan(self.end_sites[-1][1][0]):
                raise _Malformed(line, "an End Site without an OFFSET")
        elif not self.offsets[joint]:
            raise _Malformed(line, f"joint '{_short(self.names[joint])}' has no OFFSET")

    def _motion_header(self) -> tuple[int, float, int]:
        words, line = self._next("Frames:")
        text = " ".join(words)
        head, _, tail = text.partition(":")
        if head.strip().lower() != "frames" or not tail.strip().isdecimal() or len(tail.strip()) > 12:
            raise _Malformed(line, f"expected 'Frames: N', found '{_short(text)}'")
        frame_count = int(tail)
        if frame_count < 1:
            raise _Malformed(line, "the motion has no frames")
        words, line = self._next("Frame Time:")
        text = " ".join(words)
        head, _, tail = text.partition(":")
        if " ".join(head.lower().split()) != "frame time":
            raise _Malformed(line, f"expected 'Frame Time: SECONDS', found '{_short(text)}'")
        frame_time_s = _number(tail.strip(), line)
        if not 1e-5 <= frame_time_s <= 60.0:
            raise _Malformed(line, f"a frame time of {frame_time_s:g} s")
        return frame_count, frame_time_s, line

    def _rows(self, frame_count: int, width: int, line: int) -> np.ndarray:
        """(F, C) numbers. One frame may be broken over lines, or all stand on one: only the count must be right."""
        if width == 0:
            raise _Malformed(line, "no joint has channels, so nothing can move")
        if frame_count * width > MAX_VALUES:
            raise _Malformed(line, f"{frame_count} frames of {width} channels are too many")
        rows: list[np.ndarray] = []
        count, wanted, first_uneven = 0, frame_count * width, 0
        while self.at < len(self.lines):
            self.at += 1
            words = self.lines[self.at - 1].split()
            if not words:
                continue
            if len(words) != width and not first_uneven:
                first_uneven = self.at
            count += len(words)
            if count > wanted:
                where = first_uneven or self.at
                raise _Malformed(where, self._count_fault(count, wanted, width, frame_count, bool(first_uneven)))
            try:
                row = np.array(words, dtype=float)
            except ValueError:
                row = np.array([_number(word, self.at) for word in words])
            if not np.isfinite(row).all():
                raise _Malformed(self.at, "a number that is not finite")
            rows.append(row)
        if count < wanted:
            raise _Malformed(first_uneven or len(self.lines),
                             self._count_fault(count, wanted, width, frame_count, bool(first_uneven)))
        return np.concatenate(rows).reshape(frame_count, width)

    @staticmethod
    def _count_fault(count: int, wanted: int, width: int, frame_count: int, uneven: bool) -> str:
        if uneven:
            return f"a frame that does not hold the {width} numbers the channels ask for"
        if count < wanted:
            return f"the file ends after {count // width} of the {frame_count} frames it promises"
        return f"more than the {frame_count} frames it promises"


def _number(word: str, line: int) -> float:
    try:
        value = float(word)
    except ValueError:
        raise _Malformed(line, f"'{_short(word)}' is not a number") from None
    if not math.isfinite(value) or "_" in word:
        raise _Malformed(line, f"'{_short(word)}' is not a finite number")
    return value


def _short(word: str) -> str:
    return word if len(word) <= 40 else word[:37] + "..."


def _numbers(row: np.ndarray | tuple[float, ...]) -> str:
    return " ".join(repr(float(value)) for value in row)


def _columns(bvh: BvhFile) -> Iterator[tuple[int, str, int]]:
    """(joint, channel name, column of values) in file order."""
    column = 0
    for joint, names in enumerate(bvh.channels):
        for name in names:
            yield joint, name, column
            column += 1


def _axis_rotation(axis: int, angles: np.ndarray) -> np.ndarray:
    """(F, 3, 3) right-handed turns about x, y or z."""
    cos, sin = np.cos(angles), np.sin(angles)
    turns = np.zeros((len(angles), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turns[:, axis, axis] = 1.0
    turns[:, i, i], turns[:, j, j] = cos, cos
    turns[:, i, j], turns[:, j, i] = -sin, sin
    return turns


def _zxy_angles(rotations: np.ndarray) -> np.ndarray:
    """Angles (..., 3) with R = Rz(a) Rx(b) Ry(c); at b = +-90 degrees c is set to 0."""
    b = np.arcsin(np.clip(rotations[..., 2, 1], -1.0, 1.0))
    a = np.arctan2(-rotations[..., 0, 1], rotations[..., 1, 1])
    c = np.arctan2(-rotations[..., 2, 0], rotations[..., 2, 2])
    locked = np.abs(rotations[..., 2, 1]) > 1.0 - 1e-10
    a = np.where(locked, np.arctan2(rotations[..., 1, 0], rotations[..., 0, 0]), a)
    return np.stack([a, b, np.where(locked, 0.0, c)], axis=-1)


def _depth_first(parents: np.ndarray) -> list[int]:
    children: dict[int, list[int]] = {}
    for j, parent in enumerate(parents):
        children.setdefault(int(parent), []).append(j)
    order, stack = [], list(reversed(children.get(-1, [])))
    while stack:
        j = stack.pop()
        order.append(j)
        stack += reversed(children.get(j, []))
    return order
