"""The grammar of BVH files: a tree of joints, then one row of numbers per frame; every fault has a line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

MAX_JOINTS = 2_000
MAX_VALUES = 20_000_000                 # half an hour at 120 frames per second
MAX_PLACES = 8_000_000                  # joints times frames: posing them takes some GB
LONGEST_LINE = 1_000_000                # characters, in the hierarchy
WORDS_AT_ONCE = 50_000                  # all frames may stand on one line
AXES = "XYZ"
CHANNELS = {f"{axis}{kind}".lower(): f"{axis}{kind}" for axis in AXES for kind in ("position", "rotation")}


@dataclass
class Tree:
    """What the hierarchy says, as it is read."""

    names: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)                # -1 for the root
    offsets: list[list[float]] = field(default_factory=list)
    channels: list[tuple[str, ...]] = field(default_factory=list)
    end_sites: list[tuple[int, tuple[float, float, float]]] = field(default_factory=list)


class Malformed(Exception):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line, self.reason = line, reason


class Parser:
    """One pass over the lines, each read when it is needed; no recursion, so deep nesting cannot overflow anything."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = iter(lines)
        self.at = 0                                      # number of the line read last
        self.tree = Tree()

    def parse(self) -> tuple[Tree, np.ndarray, float]:
        """The tree, the values (F, C) and the frame time in seconds; raises Malformed."""
        words, line = self._next("HIERARCHY")
        if words[0].upper() != "HIERARCHY" or len(words) > 1:
            raise Malformed(line, f"expected HIERARCHY, found '{_short(words[0])}'")
        self._hierarchy()
        frame_count, frame_time_s, line = self._motion_header()
        if frame_count * len(self.tree.names) > MAX_PLACES:
            raise Malformed(line, f"{frame_count} frames of {len(self.tree.names)} joints are too many")
        return self.tree, self._rows(frame_count, sum(len(names) for names in self.tree.channels), line), frame_time_s

    def _next(self, expected: str) -> tuple[list[str], int]:
        """Words of the next line that has any, and its number."""
        for text in self.lines:
            self.at += 1
            if len(text) > LONGEST_LINE:
                raise Malformed(self.at, f"{len(text)} characters in one line")
            words = text.split()
            if words:
                return words, self.at
        raise Malformed(max(1, self.at), f"the file ends where {expected} should follow")

    def _statements(self) -> Iterator[tuple[list[str], int]]:
        """Lines of the hierarchy, braces split off into statements of their own, up to MOTION."""
        while True:
            words, line = self._next("MOTION")
            if words[0].upper() == "MOTION":
                if len(words) > 1:
                    raise Malformed(line, f"'{_short(words[1])}' after MOTION")
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
                raise Malformed(line, f"expected '{{', found '{_short(words[0])}'")
            inside = stack[-1] if stack else None
            if keyword == "{":
                if opening is None:
                    raise Malformed(line, "a '{' that opens nothing")
                stack.append(opening)
                opening = None
            elif keyword == "}":
                if inside is None:
                    raise Malformed(line, "a '}' without its '{'")
                self._check_closed(stack.pop(), line)
            elif keyword == "ROOT" or keyword == "JOINT":
                opening = self._named(words, line, inside)
            elif keyword == "END":
                if inside is None or inside == END:
                    raise Malformed(line, "an End Site outside a joint")
                self.tree.end_sites.append((inside, (math.nan,) * 3))
                opening = END
            elif keyword == "OFFSET" and inside is not None:
                self._offset(words, line, inside == END, inside)
            elif keyword == "CHANNELS" and inside is not None and inside != END:
                self._channels(words, line, inside)
            else:
                raise Malformed(line, f"'{_short(words[0])}' is not part of a hierarchy")
        if stack or opening is not None:
            raise Malformed(self.at, f"MOTION starts while {len(stack) or 1} '{{' are still open")
        if not self.tree.names:
            raise Malformed(line, "there is no ROOT")

    def _named(self, words: list[str], line: int, inside: int | None) -> int:
        if (words[0].upper() == "ROOT") != (inside is None):
            raise Malformed(line, "a ROOT inside a joint" if inside is not None else "a JOINT outside the ROOT")
        if inside is None and self.tree.names:
            raise Malformed(line, "a second ROOT; one skeleton per file can be read")
        if inside is not None and inside < 0:
            raise Malformed(line, "a JOINT inside an End Site")
        if len(words) < 2:
            raise Malformed(line, f"a {words[0]} without a name")
        if len(self.tree.names) >= MAX_JOINTS:
            raise Malformed(line, f"more than {MAX_JOINTS} joints")
        self.tree.names.append(" ".join(words[1:]))
        self.tree.parents.append(-1 if inside is None else inside)
        self.tree.offsets.append([])
        self.tree.channels.append(())
        return len(self.tree.names) - 1

    def _offset(self, words: list[str], line: int, at_end: bool, joint: int) -> None:
        if len(words) != 4:
            raise Malformed(line, f"OFFSET needs 3 numbers, found {len(words) - 1}")
        x, y, z = (_number(word, line) for word in words[1:])
        if at_end:
            owner, tip = self.tree.end_sites[-1]
            if not math.isnan(tip[0]):
                raise Malformed(line, "a second OFFSET for one End Site")
            self.tree.end_sites[-1] = (owner, (x, y, z))
        elif self.tree.offsets[joint]:
            raise Malformed(line, f"a second OFFSET for joint '{_short(self.tree.names[joint])}'")
        else:
            self.tree.offsets[joint] = [x, y, z]

    def _channels(self, words: list[str], line: int, joint: int) -> None:
        if self.tree.channels[joint]:
            raise Malformed(line, f"a second CHANNELS for joint '{_short(self.tree.names[joint])}'")
        if len(words) < 2 or not words[1].isdecimal() or not words[1].isascii() or len(words[1]) > 3:
            raise Malformed(line, "CHANNELS needs the number of channels first")
        if int(words[1]) != len(words) - 2:
            raise Malformed(line, f"CHANNELS says {words[1]} but names {len(words) - 2}")
        unknown = [word for word in words[2:] if word.lower() not in CHANNELS]
        if unknown:
            raise Malformed(line, f"'{_short(unknown[0])}' is not a channel")
        named = tuple(CHANNELS[word.lower()] for word in words[2:])
        if len(set(named)) != len(named):
            raise Malformed(line, "a channel is named twice")
        self.tree.channels[joint] = named

    def _check_closed(self, joint: int, line: int) -> None:
        if joint == -2:
            if math.isnan(self.tree.end_sites[-1][1][0]):
                raise Malformed(line, "an End Site without an OFFSET")
        elif not self.tree.offsets[joint]:
            raise Malformed(line, f"joint '{_short(self.tree.names[joint])}' has no OFFSET")

    def _motion_header(self) -> tuple[int, float, int]:
        words, line = self._next("Frames:")
        text = " ".join(words)
        head, _, tail = text.partition(":")
        if head.strip().lower() != "frames" or not tail.strip().isdecimal() or len(tail.strip()) > 18:
            raise Malformed(line, f"expected 'Frames: N', found '{_short(text)}'")
        frame_count = int(tail)
        if frame_count < 1:
            raise Malformed(line, "the motion has no frames")
        words, line = self._next("Frame Time:")
        text = " ".join(words)
        head, _, tail = text.partition(":")
        if " ".join(head.lower().split()) != "frame time":
            raise Malformed(line, f"expected 'Frame Time: SECONDS', found '{_short(text)}'")
        frame_time_s = _number(tail.strip(), line)
        if not 1e-5 <= frame_time_s <= 60.0:
            raise Malformed(line, f"a frame time of {frame_time_s:g} s")
        return frame_count, frame_time_s, line

    def _rows(self, frame_count: int, width: int, line: int) -> np.ndarray:
        """(F, C) numbers. One frame may be broken over lines, or all stand on one: only the count must be right."""
        if width == 0:
            raise Malformed(line, "no joint has channels, so nothing can move")
        if frame_count * width > MAX_VALUES:
            raise Malformed(line, f"{frame_count} frames of {width} channels are too many")
        count, wanted, first_uneven = 0, frame_count * width, 0
        values = np.empty(wanted)
        for text in self.lines:
            self.at += 1
            before = count
            for words in _words(text):
                numbers = self._numbers(words)
                if count + len(numbers) > wanted:
                    uneven = bool(first_uneven) or before < wanted
                    raise Malformed(first_uneven or self.at,
                                    self._count_fault(wanted + 1, wanted, width, frame_count, uneven))
                values[count:count + len(numbers)] = numbers
                count += len(numbers)
            if count not in (before, before + width) and not first_uneven:
                first_uneven = self.at
        if count < wanted:
            raise Malformed(first_uneven or max(1, self.at),
                            self._count_fault(count, wanted, width, frame_count, bool(first_uneven)))
        return values.reshape(frame_count, width)

    def _numbers(self, words: list[str]) -> np.ndarray:
        try:
            numbers = np.fromiter(map(float, words), float, len(words))
        except ValueError:
            numbers = np.array([_number(word, self.at) for word in words])
        if not np.isfinite(numbers).all():
            raise Malformed(self.at, "a number that is not finite")
        if any("_" in word for word in words):           # Python's own way of writing numbers
            raise Malformed(self.at, "an underscore within a number")
        return numbers

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
        raise Malformed(line, f"'{_short(word)}' is not a number") from None
    if not math.isfinite(value) or "_" in word:
        raise Malformed(line, f"'{_short(word)}' is not a finite number")
    return value


def _short(word: str) -> str:
    """A word as a message may show it: not long, and nothing in it that a terminal would obey."""
    word = "".join(letter if letter.isprintable() else "?" for letter in word[:41])
    return word if len(word) <= 40 else word[:37] + "..."


def _words(text: str) -> Iterator[list[str]]:
    """The words of a line, so many at once that a line of any length takes little memory."""
    if len(text) <= LONGEST_LINE:
        words = text.split()
        if words:
            yield words
        return
    words = []
    for found in re.finditer(r"\S+", text):
        words.append(found.group())
        if len(words) == WORDS_AT_ONCE:
            yield words
            words = []
    if words:
        yield words
