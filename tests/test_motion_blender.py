"""Exported motions against the rules of Blender's importer, as its add-on io_anim_bvh states them in code.

Blender cannot run here. What its importer asks of a file, in our words, each a check below:

1.  Lines are split at white space, empty ones dropped. The first word is HIERARCHY: nothing may stand before it, not
    even a byte order mark; on some systems the file is not read as UTF-8, so all of it is ASCII.
2.  After a ROOT or JOINT line come, each on its own line and in this order, a brace, OFFSET with three numbers, and
    CHANNELS. Joints are kept by name, so names are unique; bones take 63 bytes of them, without quotes.
3.  A joint turns about three different axes or about none: an order of one or two axes is looked up and not found.
4.  A closing brace is alone on its line; an End Site has a brace, then its OFFSET.
5.  MOTION stands alone, then a line of two words with the number of frames, then one of three with the frame time.
    A frame rate beyond 120 cannot be set in older versions.
6.  Each later line is a frame, whole, with a number for every channel; there is nothing after the last.
7.  Positions are places, not added to the offset: of each joint that has them the offset is taken off again.
8.  A bone ends at its only child, at the mean of its children, or at its End Site. In Blender's units (metres, by an
    import scale of 0.01) it is longer than a millimetre, else its end is put above it.
9.  Turns are applied in the order of the channels, the first one outermost. Files are Y up and face +Z by default.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from pipelines.body.model import Body, load_body, pose_sequence
from pipelines.core.records import Motion
from pipelines.geometry.rotations import rotation_from_vector
from pipelines.motion.bvh import write_bvh_file
from pipelines.motion.captured import as_bvh

SCALE = 0.01                            # centimetres of the file in Blender's metres
FPS = 30.0
AXES = {"X": 0, "Y": 1, "Z": 2}


@dataclass
class Bone:
    """A joint as the importer keeps it."""

    name: str
    parent: Bone | None
    offset: np.ndarray                  # (3,) scaled
    channels: list[str]
    first: int                          # column of its first channel
    tip: np.ndarray | None = None       # (3,) scaled, of an End Site
    children: list[Bone] = field(default_factory=list)

    @property
    def head(self) -> np.ndarray:
        """(3,) where it begins at rest."""
        return self.offset if self.parent is None else self.parent.head + self.offset

    @property
    def tail(self) -> np.ndarray:
        """(3,) where it ends at rest."""
        if self.tip is not None:
            return self.head + self.tip
        return np.mean([child.head for child in self.children], axis=0)


@dataclass
class Imported:
    bones: dict[str, Bone]
    frames: np.ndarray                  # (F, C) as written
    frame_time_s: float


def imported(path: Path) -> Imported:
    """The file read by the rules above; asserts each."""
    content = path.read_bytes()
    assert content.isascii(), "rule 1"
    lines = [words for words in (line.split() for line in content.decode("ascii").split("\n")) if words]
    assert lines[0] == ["HIERARCHY"], "rule 1"
    bones: dict[str, Bone] = {}
    open_bones: list[Bone | None] = [None]
    columns, at = 0, 1
    while lines[at] != ["MOTION"]:
        words = lines[at]
        if words[0] in ("ROOT", "JOINT"):
            assert len(words) == 2 and words[1] not in bones, "rule 2: one word, and no other of that name"
            assert len(words[1]) <= 63 and re.fullmatch(r"[^\"'\\]+", words[1]), "rule 2"
            assert lines[at + 1] == ["{"] and lines[at + 2][0] == "OFFSET" and lines[at + 3][0] == "CHANNELS", "rule 2"
            channels = lines[at + 3][2:]
            assert int(lines[at + 3][1]) == len(channels), "rule 2"
            turns = [name[0] for name in channels if name.endswith("rotation")]
            assert sorted(turns) in ([], ["X", "Y", "Z"]), "rule 3"
            bone = Bone(words[1], open_bones[-1], numbers(lines[at + 2][1:], 3) * SCALE, channels, columns)
            if bone.parent:
                bone.parent.children.append(bone)
            bones[bone.name] = bone
            open_bones.append(bone)
            columns += len(channels)
            at += 4
        elif words == ["End", "Site"]:
            assert lines[at + 1] == ["{"] and lines[at + 2][0] == "OFFSET", "rule 4"
            ended = open_bones[-1]
            assert ended is not None, "rule 4: an End Site belongs to a joint"
            ended.tip = numbers(lines[at + 2][1:], 3) * SCALE
            open_bones.append(None)
            at += 3
        else:
            assert words == ["}"], f"rule 4: {words}"
            open_bones.pop()
            at += 1
    assert open_bones == [None], "rule 4: every brace is closed"
    count, time = lines[at + 1], lines[at + 2]
    assert count[0] == "Frames:" and len(count) == 2 and time[:2] == ["Frame", "Time:"] and len(time) == 3, "rule 5"
    rows = lines[at + 3:]
    assert len(rows) == int(count[1]) > 0, "rule 6"
    return Imported(bones, np.stack([numbers(row, columns) for row in rows]), float(time[2]))


def numbers(words: list[str], wanted: int) -> np.ndarray:
    assert len(words) == wanted, "rules 2 and 6: as many numbers as there must be"
    values = np.array([float(word) for word in words])
    assert np.isfinite(values).all()
    return values


def placed(motion: Imported, frame: int) -> dict[str, np.ndarray]:
    """{bone: (3,) where its head is}, metres, still y up: rest, then each frame's place and turns (rules 7 and 9)."""
    places: dict[str, np.ndarray] = {}
    turned: dict[str, np.ndarray] = {}
    for bone in motion.bones.values():
        row = dict(zip(bone.channels, motion.frames[frame, bone.first:bone.first + len(bone.channels)]))
        moved = np.array([row.get(f"{axis}position", np.nan) for axis in AXES]) * SCALE
        local = np.where(np.isfinite(moved), moved, bone.offset)        # rule 7: a place, the offset is taken off
        turn = np.eye(3)
        for name in bone.channels:
            if name.endswith("rotation"):
                turn = turn @ rotation_from_vector(np.radians(row[name]) * np.eye(3)[AXES[name[0]]])
        above = np.eye(3) if bone.parent is None else turned[bone.parent.name]
        start = np.zeros(3) if bone.parent is None else places[bone.parent.name]
        places[bone.name], turned[bone.name] = start + above @ local, above @ turn
    return places


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body()


@pytest.fixture(scope="module")
def motion(body: Body) -> Motion:
    """Every joint turned, in four frames, walking along."""
    chance = np.random.default_rng(7)
    turns = rotation_from_vector(chance.normal(0, 0.6, (4, len(body.joint_names), 3)))
    return Motion(turns, chance.normal(0, 0.5, (4, 3)) + np.array([0, 0.9, 0]), FPS)


@pytest.fixture(scope="module", params=[np.zeros(10), np.array([2.0, -1.5, 1, 0.5, -1, 0, 0, 2, 0, 0])],
                ids=["mean body", "another body"])
def exported(request: pytest.FixtureRequest, body: Body, motion: Motion,
             tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, Path]:
    path = tmp_path_factory.mktemp("export") / "motion.bvh"
    write_bvh_file(path, as_bvh(motion, body, request.param))
    return request.param, path


def test_the_importer_takes_the_file_and_has_every_joint(body: Body, exported: tuple[np.ndarray, Path]) -> None:
    read = imported(exported[1])
    assert set(read.bones) == set(body.joint_names) and len(read.frames) == 4
    assert [bone.name for bone in read.bones.values() if bone.parent is None] == ["root"]
    assert abs(1 / read.frame_time_s - FPS) < 1e-9 and 1 <= 1 / read.frame_time_s <= 120, "rule 5"


def test_every_bone_but_the_root_has_a_length_in_blender(exported: tuple[np.ndarray, Path]) -> None:
    """Spine and both halves of the pelvis begin where the root does: Blender draws it upright, nothing hangs on it."""
    bones = imported(exported[1]).bones.values()
    assert all(bone.tip is not None or bone.children for bone in bones), "rule 8: every bone has an end"
    lengths = {bone.name: float(np.linalg.norm(bone.tail - bone.head)) for bone in bones}
    assert [name for name, length in lengths.items() if length <= 0.001] == ["root"]
    assert max(lengths.values()) < 0.6, "metres: the scale of 0.01 is right"


def test_only_the_root_has_a_place_and_its_offset_is_none(exported: tuple[np.ndarray, Path]) -> None:
    """Programs that add offset and place and those that do not then agree (rule 7)."""
    for bone in imported(exported[1]).bones.values():
        has_place = any(name.endswith("position") for name in bone.channels)
        assert has_place == (bone.parent is None)
        assert bone.parent or not bone.offset.any()


def test_in_blender_every_joint_is_where_it_was(body: Body, motion: Motion, exported: tuple[np.ndarray, Path]) -> None:
    betas, path = exported
    read = imported(path)
    wanted = pose_sequence(body, betas, motion.joint_rotations, motion.root_translation)
    for frame in range(4):
        places = placed(read, frame)
        found = np.stack([places[name] for name in body.joint_names])
        np.testing.assert_allclose(found, wanted[frame], atol=1e-5)


@pytest.mark.parametrize(("written", "instead", "rule"), [
    ("HIERARCHY", "\ufeffHIERARCHY", "rule 1"),
    ("CHANNELS 3 Zrotation Xrotation Yrotation", "CHANNELS 1 Zrotation", "rule 3"),
    ("MOTION\n", "MOTION Frames: 4\n", "rule|IndexError|list index"),
    ("JOINT head\n", "JOINT root\n", "rule 2"),
])
def test_the_rules_refuse_what_blender_would(exported: tuple[np.ndarray, Path], tmp_path: Path, written: str,
                                            instead: str, rule: str) -> None:
    text = exported[1].read_text()
    assert written in text
    (tmp_path / "bad.bvh").write_text(text.replace(written, instead, 1), encoding="utf-8")
    with pytest.raises((AssertionError, IndexError), match=rule):
        imported(tmp_path / "bad.bvh")
