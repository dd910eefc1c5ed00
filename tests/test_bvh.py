"""BVH files: what is read is what the file says, what is written reads back, what is malformed is refused."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.core.errors import AnrError
from pipelines.core.records import Motion
from pipelines.geometry.rotations import rotation_from_vector
from pipelines.motion.bvh import (
    BvhFile,
    local_rotations,
    parse_bvh,
    pose_skeleton,
    read_bvh,
    write_bvh,
    write_bvh_file,
)

ARM = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Arm
  {
    OFFSET 10 0 0
    CHANNELS 3 Yrotation Xrotation Zrotation
    End Site
    {
      OFFSET 5 0 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.04
1 2 3 0 0 0 0 0 0
1 2 3 90 0 0 0 0 90
"""


def test_a_case_worked_by_hand() -> None:
    bvh = parse_bvh(ARM)
    positions, rotations = pose_skeleton(bvh)
    np.testing.assert_allclose(positions[0], [[1, 2, 3], [11, 2, 3]])
    np.testing.assert_allclose(positions[1], [[1, 2, 3], [1, 12, 3]], atol=1e-12)     # +x turned to +y
    np.testing.assert_allclose(rotations[1, 1] @ [1, 0, 0], [-1, 0, 0], atol=1e-12)   # and once more
    assert bvh.fps == 25.0 and bvh.end_sites == ((1, (5.0, 0.0, 0.0)),)


def test_channels_turn_in_file_order() -> None:
    text = ARM.replace("0 0 0\n1 2 3 90 0 0 0 0 90", "0 0 0\n1 2 3 0 0 0 90 90 0")
    turned = local_rotations(parse_bvh(text))[1, 1]
    about_y = rotation_from_vector(np.array([0, np.pi / 2, 0]))
    about_x = rotation_from_vector(np.array([np.pi / 2, 0, 0]))
    np.testing.assert_allclose(turned, about_y @ about_x, atol=1e-12)


@pytest.mark.parametrize("ending", ["\r\n", "\r", "\n"])
def test_line_endings_and_a_byte_order_mark_do_not_matter(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "a.bvh"
    path.write_bytes(b"\xef\xbb\xbf" + ARM.replace("\n", ending).encode())
    np.testing.assert_array_equal(read_bvh(path).values, parse_bvh(ARM).values)


def test_braces_may_stand_on_the_same_line() -> None:
    text = ARM.replace("\n{", " {").replace("End Site\n    {\n      OFFSET 5 0 0\n    }", "End Site { OFFSET 5 0 0 }")
    assert parse_bvh(text).joint_names == ("Hips", "Arm")
    assert parse_bvh(ARM.replace("JOINT Arm", "JOINT Bip01 L Arm")).joint_names[1] == "Bip01 L Arm"


def test_every_shared_file_is_read_and_written_back_digit_for_digit(shared_data: Path, tmp_path: Path) -> None:
    files = sorted([*shared_data.glob("bvh/*.bvh"), *shared_data.glob("bvh_odd/*.bvh")])
    good = [path for path in files if not path.name.startswith("malformed")]
    assert len(good) >= 11
    for path in good:
        bvh = read_bvh(path)
        write_bvh_file(tmp_path / "again.bvh", bvh)
        again = read_bvh(tmp_path / "again.bvh")
        assert again.joint_names == bvh.joint_names and again.channels == bvh.channels, path.name
        assert again.end_sites == bvh.end_sites and again.frame_time_s == bvh.frame_time_s, path.name
        for name in ("parents", "offsets", "values"):
            np.testing.assert_array_equal(getattr(again, name), getattr(bvh, name), err_msg=path.name)


def test_the_malformed_shared_file_is_refused_with_its_line(shared_data: Path) -> None:
    path = next(shared_data.glob("bvh_odd/malformed*.bvh"))
    with pytest.raises(AnrError, match=r"line 35: 'z' is not part of a hierarchy"):
        read_bvh(path)


@pytest.mark.parametrize(("change", "message"), [
    (("HIERARCHY", "HEIRARCHY"), "line 1: expected HIERARCHY"),
    (("OFFSET 10 0 0", "OFFSET 10 0"), "line 8: OFFSET needs 3 numbers, found 2"),
    (("OFFSET 10 0 0", "OFFSET 10 0 x"), "line 8: 'x' is not a number"),
    (("OFFSET 10 0 0", "OFFSET 10 0 nan"), "line 8: 'nan' is not a finite number"),
    (("CHANNELS 3 Y", "CHANNELS 4 Y"), "line 9: CHANNELS says 4 but names 3"),
    (("CHANNELS 3 Yrotation", "CHANNELS 3 Wrotation"), "line 9: 'Wrotation' is not a channel"),
    (("CHANNELS 3 Yrotation", "CHANNELS 3 Xrotation"), "line 9: a channel is named twice"),
    (("    End Site", "    JOINT"), "line 10: a JOINT without a name"),
    (("  }\n}\nMOTION", "}\nMOTION"), "line 15: MOTION starts while 1"),
    (("}\nMOTION", "}\n}\nMOTION"), "line 16: a '}' without its '{'"),
    (("Frames: 2", "Frames: 0"), "line 17: the motion has no frames"),
    (("Frames: 2", "Frames: 3"), "line 20: the file ends after 2 of the 3 frames"),
    (("Frames: 2", "Frames: 1"), "line 20: more than the 1 frames"),
    (("Frames: 2", "Frames: 99999999999"), "line 18: 99999999999 frames of 2 joints are too many"),
    (("Frame Time: 0.04", "Frame Time: 0"), "line 18: a frame time of 0 s"),
    (("1 2 3 90 0 0 0 0 90", "1 2 3 90 0 0 0 0"), "line 20: a frame that does not hold the 9 numbers"),
    (("1 2 3 90 0 0 0 0 90", "1 2 3 90 0 0 0 0 1e999"), "line 20: a number that is not finite"),
    (("1 2 3 90 0 0 0 0 90", "1 2 3 90 0 0 0 0 90 7"), "line 20: a frame that does not hold the 9 numbers"),
    (("1 2 3 90 0 0 0 0 90", "1 2 3 90 0 0 0 0 9_0"), "line 20: an underscore within a number"),
    (("Frames: 2", "Frames: 1000000000000"), "line 18: 1000000000000 frames of 2 joints are too many"),
    (("Frames: 2", "Frames: " + "9" * 5000), "line 17: expected 'Frames: N'"),
    (("Frames: 2", "Frames: -2"), "line 17: expected 'Frames: N'"),
    (("Frame Time: 0.04", "Frame Time: nan"), "line 18: 'nan' is not a finite number"),
    (("MOTION", "MOTIONS"), "is not part of a hierarchy"),
])
def test_malformed_files_name_line_and_reason(change: tuple[str, str], message: str) -> None:
    with pytest.raises(AnrError) as caught:
        parse_bvh(ARM.replace(*change), "a.bvh")
    assert message in caught.value.message
    assert caught.value.message.startswith("a.bvh is malformed: line ") and caught.value.hint


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnrError, match="There is no file"):
        read_bvh(tmp_path / "nothing.bvh")
    (tmp_path / "video.bvh").write_bytes(bytes(range(256)) * 40)
    with pytest.raises(AnrError, match="line 1"):
        read_bvh(tmp_path / "video.bvh")
    (tmp_path / "empty.bvh").write_bytes(b"")
    with pytest.raises(AnrError, match="the file ends"):
        read_bvh(tmp_path / "empty.bvh")
    with pytest.raises(AnrError, match="cannot be read"):
        read_bvh(tmp_path)


def test_what_a_terminal_would_obey_is_not_repeated() -> None:
    with pytest.raises(AnrError) as caught:
        parse_bvh("\x1b[2J\x07 HIERARCHY\n")
    assert caught.value.message == "motion.bvh is malformed: line 1: expected HIERARCHY, found '?[2J?'."


def test_deep_nesting_neither_overflows_nor_hangs() -> None:
    deep = "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\n" + "JOINT b\n{\nOFFSET 0 0 0\n" * 50_000
    with pytest.raises(AnrError, match="more than 2000 joints"):
        parse_bvh(deep)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_mutation_raises_anything_but_an_anr_error(data: st.DataObject) -> None:
    text = ARM
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 12)))
        put = data.draw(st.one_of(st.sampled_from(["{", "}", "-1", "1e9", "JOINT", "End Site", "MOTION", "\n"]),
                                  st.text(max_size=6)))
        text = text[:start] + put + text[end:]
    try:
        bvh = parse_bvh(text)
    except AnrError:
        return
    positions, _ = pose_skeleton(bvh)
    assert positions.shape == (bvh.frame_count, len(bvh.joint_names), 3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_written_motion_poses_the_same_skeleton(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    chance = np.random.default_rng(seed)
    count, frames = int(chance.integers(1, 12)), int(chance.integers(1, 5))
    parents = np.array([-1, *(chance.integers(0, j) for j in range(1, count))])
    turns = rotation_from_vector(chance.normal(0, 1.5, (frames, count, 3)))
    motion = Motion(turns, chance.normal(0, 2, (frames, 3)), 24.0)
    offsets_m = chance.normal(0, 0.5, (count, 3))
    names = tuple(f"j{j}" for j in range(count))
    path = tmp_path_factory.mktemp("bvh") / "a.bvh"
    write_bvh(path, names, parents, offsets_m, motion)
    bvh: BvhFile = read_bvh(path)
    positions, _ = pose_skeleton(bvh)
    wanted, turned = np.empty((frames, count, 3)), np.empty((frames, count, 3, 3))
    for j, parent in enumerate(parents):                 # a parent stands before its children here
        if parent < 0:
            wanted[:, j], turned[:, j] = motion.root_translation, motion.joint_rotations[:, j]
        else:
            wanted[:, j] = wanted[:, parent] + turned[:, parent] @ offsets_m[j]
            turned[:, j] = turned[:, parent] @ motion.joint_rotations[:, j]
    order = [bvh.joint_names.index(name) for name in names]
    np.testing.assert_allclose(positions[:, order] / 100.0, wanted, atol=1e-6)
    assert abs(bvh.fps - 24.0) < 1e-9


@cache
def real_files(shared_data: Path) -> list[bytes]:
    """The beginnings of the shared files: whole trees, a few frames."""
    texts = []
    for path in sorted([*shared_data.glob("bvh/*.bvh"), *shared_data.glob("bvh_odd/*.bvh")]):
        lines = path.read_bytes().split(b"\n")
        start = next(k for k, line in enumerate(lines) if line.strip().startswith(b"Frame Time"))
        kept = lines[:start + 6]
        texts.append(b"\n".join(b"Frames: 5" if line.strip().startswith(b"Frames") else line for line in kept) + b"\n")
    return texts


PIECES = [b"{", b"}", b"-1", b"1e308", b"nan", b"inf", b"JOINT x", b"End Site", b"MOTION", b"\n", b"\0", b"\xff\xfe",
          b"OFFSET", b"CHANNELS 3", b"Zrotation", b"Frames: 1000000000000", b"0", b"ROOT", b"HIERARCHY", b" "]


def mutated(text: bytes, data: st.DataObject) -> bytes:
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        put = data.draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=8)))
        text = text[:start] + put + text[end:]
    return text[:data.draw(st.one_of(st.just(len(text)), st.integers(0, len(text))))]


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_mutated_and_cut_off_real_files_are_read_or_refused_with_their_line(
        shared_data: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "mutated.bvh"
    path.write_bytes(mutated(data.draw(st.sampled_from(real_files(shared_data))), data))
    try:
        bvh = read_bvh(path)
    except AnrError as refusal:
        assert "mutated.bvh is malformed: line " in refusal.message and refusal.hint
        return
    positions, _ = pose_skeleton(bvh)
    assert positions.shape == (bvh.frame_count, len(bvh.joint_names), 3)
    write_bvh_file(path, bvh)
    np.testing.assert_array_equal(read_bvh(path).values, bvh.values)


@settings(max_examples=100, deadline=None)
@given(noise=st.binary(max_size=400))
def test_random_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.bvh"
    for start in (b"", b"HIERARCHY\n", ARM.encode()[:-30]):
        path.write_bytes(start + noise)
        try:
            assert read_bvh(path).frame_count == 2       # noise may happen to be numbers
        except AnrError as refusal:
            assert "line " in refusal.message


HOSTILE = {
    "a frame count nobody has": ARM.replace("Frames: 2", "Frames: 1000000000000"),
    "many frames promised": ARM.replace("Frames: 2", "Frames: 2000000"),
    "one endless word": ARM + "1" * 8_000_000,
    "one endless line": ARM.replace("1 2 3 0", "7 " * 4_000_000 + "0", 1),
    "a line of joints": "HIERARCHY\nROOT a { OFFSET 0 0 0 " + "JOINT b { OFFSET 0 0 0 " * 100_000,
    "many joints that hardly move": "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n"
                                    + "JOINT b\n{\nOFFSET 0 0 0\n}\n" * 1900
                                    + "}\nMOTION\nFrames: 1000000\nFrame Time: 0.01\n" + "1\n" * 50_000,
    "channels without end": ARM.replace("CHANNELS 3", "CHANNELS 999999999"),
    "empty lines": "\n" * 1_000_000,
    "closing braces": "HIERARCHY\n" + "}\n" * 100_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files_are_refused_within_bounded_memory_and_time(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hostile.bvh"
    path.write_text(text)
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(AnrError, match="line "):
            read_bvh(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 200 * 2**20                            # 20 million values are 160 MB
    assert time.process_time() - started < 60            # it ends: tracing makes all of it slow


def test_all_frames_may_stand_on_one_line_of_any_length() -> None:
    count = 200_000                                      # longer than what is taken apart at once
    text = ARM[:ARM.index("Frames")] + f"Frames: {count}\nFrame Time: 0.01\n" + "1 2 3 0 0 0 0 0 5 " * count
    bvh = parse_bvh(text)
    assert bvh.values.shape == (count, 9) and (bvh.values == [1, 2, 3, 0, 0, 0, 0, 0, 5]).all()


def test_joints_out_of_order_cannot_be_written(tmp_path: Path) -> None:
    bvh = parse_bvh(ARM)
    shuffled = replace(bvh, joint_names=("a", "b", "c"), parents=np.array([-1, 0, -1]), offsets=np.zeros((3, 3)),
                       channels=((), (), ()), end_sites=(), values=np.zeros((1, 0)))
    write_bvh_file(tmp_path / "two_roots.bvh", shuffled)
    with pytest.raises(AnrError, match="a second ROOT"):
        read_bvh(tmp_path / "two_roots.bvh")
    with pytest.raises(ValueError, match="depth-first"):
        write_bvh_file(tmp_path / "a.bvh", replace(shuffled, parents=np.array([-1, -1, 0])))
