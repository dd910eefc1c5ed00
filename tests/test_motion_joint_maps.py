"""Which joint is which: by name, by the shape of the skeleton, and as a person says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.body.model import load_body
from pipelines.core.errors import AnrError
from pipelines.motion.bvh import BvhFile, read_bvh
from pipelines.motion.jointmap import NEEDED, match_joints, read_joint_map, write_joint_map
from pipelines.motion.retarget import limb_errors_deg, retarget_fully
from pipelines.motion.topology import limbs_of

SHAPE = np.zeros(10)
HUMAN = ("bvh/blender_walk01", "bvh/cmu1_jumping_jacks", "bvh/cmu_12_01_walk", "bvh/fair1_wave_hello",
         "bvh/mixamo_freebvh", "bvh/mocapbank_crlf", "bvh/pymo_AV_8Walk", "bvh/rokoko_jesse_dance",
         "bvh_odd/mixed_orders_per_joint")
# hips, then per side: hip knee ankle toe collar shoulder elbow wrist; {s} = l or r, {S} = Left or Right
RIGS = {
    "CMU": ("Hips", "{S}UpLeg {S}Leg {S}Foot {S}ToeBase {S}Shoulder {S}Arm {S}ForeArm {S}Hand"),
    "CMU of acclaim": ("root", "{s}femur {s}tibia {s}foot {s}toes {s}clavicle {s}humerus {s}radius {s}wrist"),
    "Mixamo": ("mixamorig:Hips", "mixamorig:{S}UpLeg mixamorig:{S}Leg mixamorig:{S}Foot mixamorig:{S}ToeBase "
                                 "mixamorig:{S}Shoulder mixamorig:{S}Arm mixamorig:{S}ForeArm mixamorig:{S}Hand"),
    "MotionBuilder": ("Character1_Hips", "Character1_{S}UpLeg Character1_{S}Leg Character1_{S}Foot "
                      "Character1_{S}ToeBase Character1_{S}Shoulder Character1_{S}Arm Character1_{S}ForeArm "
                      "Character1_{S}Hand"),
    "Bandai": ("Hips", "UpperLeg_{L} LowerLeg_{L} Foot_{L} Toes_{L} Shoulder_{L} UpperArm_{L} LowerArm_{L} Hand_{L}"),
    "LAFAN": ("Hips", "{S}UpLeg {S}Leg {S}Foot {S}Toe {S}Shoulder {S}Arm {S}ForeArm {S}Hand"),
    "Rigify": ("hips", "thigh.{L} shin.{L} foot.{L} toe.{L} shoulder.{L} upper_arm.{L} forearm.{L} hand.{L}"),
    "Rigify DEF": ("DEF-hips", "DEF-thigh.{L} DEF-shin.{L} DEF-foot.{L} DEF-toe.{L} DEF-shoulder.{L} DEF-upper_arm.{L} "
                               "DEF-forearm.{L} DEF-hand.{L}"),
    "Unreal": ("pelvis", "thigh_{s} calf_{s} foot_{s} ball_{s} clavicle_{s} upperarm_{s} lowerarm_{s} hand_{s}"),
    "SMPL": ("Pelvis", "{L}_Hip {L}_Knee {L}_Ankle {L}_Foot {L}_Collar {L}_Shoulder {L}_Elbow {L}_Wrist"),
    "Vicon": ("Hips", "{S}Hip {S}Knee {S}Ankle {S}Toe {S}Collar {S}Shoulder {S}Elbow {S}Wrist"),
    "OptiTrack": ("Hip", "{L}Thigh {L}Shin {L}Foot {L}Toe {L}Shoulder {L}UArm {L}FArm {L}Hand"),
    "Daz": ("hip", "{s}ThighBend {s}Shin {s}Foot {s}Toe {s}Collar {s}ShldrBend {s}ForearmBend {s}Hand"),
    "Biped": ("Bip01", "Bip01 {L} Thigh|Bip01 {L} Calf|Bip01 {L} Foot|Bip01 {L} Toe0|Bip01 {L} Clavicle|"
                       "Bip01 {L} UpperArm|Bip01 {L} Forearm|Bip01 {L} Hand"),
    "VRM": ("J_Bip_C_Hips", "J_Bip_{L}_UpperLeg J_Bip_{L}_LowerLeg J_Bip_{L}_Foot J_Bip_{L}_ToeBase "
                            "J_Bip_{L}_Shoulder J_Bip_{L}_UpperArm J_Bip_{L}_LowerArm J_Bip_{L}_Hand"),
}
PARTS = ("hip", "knee", "ankle", "toe", "collar", "shoulder", "elbow", "wrist")


@pytest.mark.parametrize("rig", RIGS)
def test_names_of_many_rigs_are_known(rig: str) -> None:
    hips, limbs = RIGS[rig]
    names, parents, wanted = [hips], [-1], {}
    for side, long in (("L", "Left"), ("R", "Right")):
        told = limbs.replace("{S}", long).replace("{L}", side).replace("{s}", side.lower())
        for part, name in zip(PARTS, told.split("|") if "|" in told else told.split()):
            parents.append(0 if part in ("hip", "collar") else len(names) - 1)
            wanted[f"{part}.{side}"] = name
            names.append(name)
    bvh = BvhFile(tuple(names), np.array(parents), np.ones((17, 3)), (("Xrotation",),) * 17, (), np.zeros((1, 17)), 0.1)
    found = match_joints(bvh)
    assert {part: names[found.joints[part]] for part in wanted} == wanted
    assert found.joints["hips"] == 0 and found.found_by == "names"


def nameless(bvh: BvhFile) -> BvhFile:
    return replace(bvh, joint_names=tuple(f"bone_{j}" for j in range(len(bvh.joint_names))))


@pytest.mark.parametrize("name", HUMAN)
def test_the_shape_of_a_skeleton_tells_what_its_names_do(shared_data: Path, name: str) -> None:
    bvh = read_bvh(shared_data / f"{name}.bvh")
    by_name, by_shape = match_joints(bvh), match_joints(nameless(bvh))
    assert by_shape.joints == by_name.joints
    assert by_shape.spine == by_name.spine and by_shape.neck == by_name.neck
    assert by_shape.found_by == "the shape of the skeleton" in by_shape.described(bvh)


def test_mirrored_names_do_not_fool_the_shape(shared_data: Path) -> None:
    """Sides come from where the toes point, not from the order of joints in the file."""
    bvh = read_bvh(shared_data / "bvh" / "mixamo_freebvh.bvh")
    behind = replace(bvh, offsets=bvh.offsets * [-1, 1, 1])       # another person, mirrored at rest and still
    behind = replace(nameless(behind), values=np.zeros((2, bvh.values.shape[1])))
    named, found = match_joints(bvh).joints, limbs_of(behind)
    assert found is not None
    assert found["knee.L"] == named["knee.R"] and found["wrist.R"] == named["wrist.L"]


def test_a_nameless_file_drives_the_body_like_the_named_one(shared_data: Path) -> None:
    body, bvh = load_body(), read_bvh(shared_data / "bvh" / "blender_walk01.bvh")
    named, other = (retarget_fully(each, body, SHAPE) for each in (bvh, nameless(bvh)))
    np.testing.assert_allclose(other.motion.joint_rotations, named.motion.joint_rotations, atol=1e-9)


def test_a_joint_map_that_was_written_reads_back_and_says_the_same(shared_data: Path, tmp_path: Path) -> None:
    bvh = read_bvh(shared_data / "bvh" / "blender_walk01.bvh")
    found = match_joints(bvh)
    write_joint_map(tmp_path / "map.json", found, bvh)
    told = read_joint_map(tmp_path / "map.json")
    assert told["knee.L"] == bvh.joint_names[found.joints["knee.L"]] and "" in told.values()
    assert match_joints(nameless(bvh)).joints == match_joints(bvh, told).joints


def test_a_joint_map_is_believed_over_names(shared_data: Path) -> None:
    body, bvh = load_body(), read_bvh(shared_data / "bvh" / "mixamo_freebvh.bvh")
    crossed = {f"{part}.{a}": bvh.joint_names[match_joints(bvh).joints[f"{part}.{b}"]]
               for part in ("collar", "shoulder", "elbow", "wrist") for a, b in ("LR", "RL")}
    result = retarget_fully(bvh, body, SHAPE, crossed)
    assert result.joint_map.joints["wrist.L"] == match_joints(bvh).joints["wrist.R"]
    no_collars = match_joints(bvh, {"collar.L": "", "collar.R": "", "head": ""})
    assert not {"collar.L", "collar.R", "head"} & set(no_collars.joints)


def test_a_joint_map_mends_a_skeleton_that_neither_names_nor_shape_tell(shared_data: Path) -> None:
    """The knees of this one are called nothing and its arms hang from nothing that looks like a chest."""
    body, bvh = load_body(), read_bvh(shared_data / "bvh" / "fair1_wave_hello.bvh")
    parts = {part: bvh.joint_names[j] for part, j in match_joints(bvh).joints.items()}
    short = bvh.offsets.copy()
    short[match_joints(bvh).joints["collar.L"]] *= 9.0            # one arm three times as far out: no pair of limbs
    odd = nameless(replace(bvh, offsets=short))
    with pytest.raises(AnrError, match=r"no joint that is known as hip\.L") as caught:
        match_joints(odd)
    assert "--joint-map" in caught.value.hint
    told = {part: odd.joint_names[bvh.joint_names.index(name)] for part, name in parts.items()}
    result = retarget_fully(odd, body, SHAPE, told)
    joints = result.free.joint_rotations
    assert np.isfinite(joints).all() and set(result.joint_map.joints) == set(parts)
    assert limb_errors_deg(result, body, np.zeros((len(joints), len(body.joint_names), 3)))


@pytest.mark.parametrize(("text", "message"), [
    ('{"knee.L": "LeftLeg"', "is not JSON"),
    ('["knee.L"]', "is not a list of parts and joint names"),
    ('{"knee.L": 3}', "is not a list of parts and joint names"),
    ('{"nose": "Head"}', "speaks of 'nose', which is no part of the body"),
    ("[" * 100_000, "is not JSON"),
    ("\udcff", "cannot be read"),
])
def test_other_files_are_no_joint_maps(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "map.json").write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(AnrError) as caught:
        read_joint_map(tmp_path / "map.json")
    assert message in caught.value.message and caught.value.hint


def test_missing_joint_maps_and_joints_are_named(shared_data: Path, tmp_path: Path) -> None:
    with pytest.raises(AnrError, match="There is no joint map"):
        read_joint_map(tmp_path / "none.json")
    with pytest.raises(AnrError, match="cannot be read"):
        read_joint_map(tmp_path)
    bvh = read_bvh(shared_data / "bvh" / "mixamo_freebvh.bvh")
    with pytest.raises(AnrError, match=r"names 'Knie' for knee\.L, but the motion has no such joint; it has: mix"):
        match_joints(bvh, {"knee.L": "Knie"})
    with pytest.raises(AnrError, match=r"'mixamorig:RightLeg' is taken for knee\.L and for knee\.R") as caught:
        match_joints(bvh, {"knee.L": "mixamorig:RightLeg"})
    assert "--joint-map" in caught.value.hint and "hip.L=mixamorig:LeftUpLeg" in caught.value.hint


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
@example(seed=11628718)                 # arms that branch off within a leg
def test_any_tree_gives_limbs_or_none(seed: int) -> None:
    chance = np.random.default_rng(seed)
    count = int(chance.integers(1, 60))
    parents = np.array([-1, *(int(chance.integers(max(0, j - 4), j)) for j in range(1, count))])
    offsets = chance.normal(0, 1, (count, 3)) * 10.0 ** chance.integers(-300, 300)
    offsets[chance.random(count) < 0.2] = 0.0
    bvh = BvhFile(tuple(f"x{j}" for j in range(count)), parents, offsets, (("Xrotation", "Yrotation"),) * count,
                  (), chance.normal(0, 60, (3, 2 * count)), 0.04)
    with np.errstate(all="ignore"):
        found = limbs_of(bvh)
    if found is not None:
        limbs = [found[f"{part}.{side}"] for part in NEEDED for side in "LR"]
        assert len(set(limbs)) == len(limbs)


def test_a_skeleton_with_thousands_of_branches_is_looked_at_in_no_time() -> None:
    """All combinations of joints of one long chain, or of pairs on one joint, would take hours."""
    for parents in (np.arange(-1, 1999), np.concatenate([[-1], np.zeros(1999, int)])):
        offsets = np.ones((2000, 3))
        bvh = BvhFile(tuple(map(str, range(2000))), parents, offsets, (("Xrotation",),) * 2000, (),
                      np.zeros((1, 2000)), 0.04)
        assert limbs_of(bvh) is None
