"""The synthetic people: clothed surfaces with a known skeleton, posed by linear blend skinning."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from pipelines.body.skeleton import JOINT_NAMES, PARENTS, joint_index
from pipelines.core.errors import AnrError
from pipelines.core.records import BodyPose
from pipelines.studio.deltas import unpacked_faces, unpacked_rows
from pipelines.studio.materials import HAIR

ASSETS = Path(__file__).parent / "assets"
BASE = ASSETS / "base.npz"  # what all share
NAMES = ("ada", "ben", "cleo", "dan", "eva", "finn", "gus", "hana")
POSITION_SCALE_M = 1 / 16000  # of stored vertex positions
HAIR_SCALE_M = 1 / 8000  # of those of strands
FOLD_SCALE_M = 0.025 / 255  # of stored fold heights


@dataclass(frozen=True, eq=False)
class Actor:
    """One person at rest: y up, facing +z, the person's left = +x, soles at `sole_m` below y = 0."""

    name: str
    rest_joints: np.ndarray  # (J, 3) metres
    joint_names: tuple[str, ...]
    parents: np.ndarray  # (J,)
    height_m: float  # of the body, without shoes and hair
    coarse_verts: np.ndarray  # (1831, 3) metres: the vertices of pipelines.body in this person's true shape, at rest
    verts: np.ndarray  # (V, 3)
    normals: np.ndarray  # (V, 3)
    faces: np.ndarray  # (T, 3) int32
    material: np.ndarray  # (T,) uint8, see materials.py
    skin_indices: np.ndarray  # (V, 6) int32
    skin_weights: np.ndarray  # (V, 6) float32
    folds: np.ndarray  # (V, K) float32 metres along the normal at full drive
    tint: np.ndarray  # (V, 3) float32 linear colour
    occlusion: np.ndarray  # (V,) float32 0..1, how much of the sky a vertex sees
    uvs: np.ndarray  # (U, 2) float32, of the skin
    face_uvs: np.ndarray  # (T_skin, 3) int32: the first faces are the skin
    texture: np.ndarray  # (H, W, 3) float32 linear colour of the skin
    print_front: np.ndarray  # (h, w) uint8
    print_back: np.ndarray
    cut: np.ndarray  # (G, 18) where the patterns of each garment sit, see wardrobe.pattern_lengths
    leg: np.ndarray  # (4,)
    colours: np.ndarray  # (G, 2, 3) linear, of each garment

    @property
    def sole_m(self) -> float:
        """How far the soles reach below the bare foot."""
        return float(-self.verts[:, 1].min())


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB 0..1 to linear light (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


@lru_cache(maxsize=4)
def load_actor(name: str) -> Actor:
    """A person of the studio by name."""
    import cv2

    from pipelines.studio.kernels import smooth_normals

    if name not in NAMES:
        raise AnrError(f"There is no synthetic person named {name!r}.", hint=f"There are: {', '.join(NAMES)}.")
    with np.load(ASSETS / f"{name}.npz", allow_pickle=False) as stored:
        asset = {key: stored[key] for key in stored.files}
    with np.load(BASE, allow_pickle=False) as stored:
        base = {key: stored[key] for key in stored.files}
    if tuple(asset["joint_names"]) != JOINT_NAMES:
        raise ValueError(f"{name}.npz was baked for another skeleton; run python -m pipelines.studio.bake")
    sizes, kept = asset["layer_verts"], stored_faces(asset, base)
    scale = np.where(asset["layer_material"] == HAIR, HAIR_SCALE_M, POSITION_SCALE_M)
    verts = (unpacked_rows(asset["verts"]) * np.repeat(scale, sizes)[:, None]).astype(np.float32)
    faces, face_uvs = kept
    normals = np.zeros_like(verts)
    smooth_normals(verts, faces, normals)
    texture = cv2.cvtColor(cv2.imdecode(asset["skin_texture"], cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    linear = to_linear(np.arange(256) / 255.0).astype(np.float32)
    weights = asset["skin_weights"].T.astype(np.float32)
    return Actor(
        name=name,
        rest_joints=asset["joints"].astype(float),
        joint_names=JOINT_NAMES,
        parents=PARENTS,
        height_m=float(asset["height_m"]),
        coarse_verts=unpacked_rows(asset["coarse_verts"]) * POSITION_SCALE_M,
        verts=verts,
        normals=normals,
        faces=faces,
        material=np.repeat(asset["layer_material"], asset["layer_faces"]).astype(np.uint8),
        skin_indices=np.ascontiguousarray(asset["skin_indices"].T.astype(np.int32)),
        skin_weights=np.ascontiguousarray(weights / weights.sum(1, keepdims=True)),
        folds=unpacked_rows(asset["folds"]).astype(np.float32) * np.float32(FOLD_SCALE_M),
        tint=linear[unpacked_rows(asset["tint"])],
        occlusion=unpacked_rows(asset["occlusion"])[:, 0].astype(np.float32) / np.float32(127),
        texture=linear[texture],
        uvs=unpacked_rows(base["uvs"]).view(np.uint16).astype(np.float32) / np.float32(65535),
        face_uvs=face_uvs,
        print_front=asset["print_front"],
        print_back=asset["print_back"],
        cut=asset["cut"].astype(float),
        leg=asset["leg"].astype(float),
        colours=to_linear(asset["colours"].astype(float)),
    )


def stored_faces(asset: dict[str, np.ndarray], base: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of a person (T, 3), those of the skin first, and where the skin's lie in the texture (T_skin, 3)."""
    body = unpacked_faces(base["faces"])
    keep = np.unpackbits(asset["kept"])[: len(body)].astype(bool)
    _, skin = np.unique(body[keep], return_inverse=True)  # the skin's vertices keep the body's order
    rest = unpacked_faces(asset["faces"])
    starts = np.repeat(np.cumsum(asset["layer_verts"])[:-1], asset["layer_faces"][1:])
    faces = np.concatenate([skin.reshape(-1, 3), rest + starts[:, None]]).astype(np.int32)
    return faces, unpacked_faces(base["face_uvs"])[keep]


def posed_joints(rest_joints: np.ndarray, parents: np.ndarray, pose: BodyPose) -> tuple[np.ndarray, np.ndarray]:
    """Forward kinematics: global turns (J, 3, 3) and places (J, 3) of all joints."""
    turns, places = np.empty((len(parents), 3, 3)), np.empty((len(parents), 3))
    for j, parent in enumerate(parents):
        if parent < 0:
            turns[j], places[j] = pose.joint_rotations[j], pose.root_translation
        else:
            turns[j] = turns[parent] @ pose.joint_rotations[j]
            places[j] = places[parent] + turns[parent] @ (rest_joints[j] - rest_joints[parent])
    return turns, places


def angle_between(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.arccos(np.clip(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)), -1, 1)))


def fold_drives(turns: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(K,) 0..1: how far each fold field is driven, in the order of `folds.FOLD_DRIVERS`."""
    at = {name: places[joint_index(name)] for name in JOINT_NAMES if name[-2:] in (".L", ".R")}
    trunk, pelvis = turns[joint_index("spine02")], turns[joint_index("root")]
    drives = []
    for side in "LR":
        upper = at[f"lowerarm01.{side}"] - at[f"upperarm01.{side}"]
        drives.append(angle_between(upper, at[f"wrist.{side}"] - at[f"lowerarm01.{side}"]) / 1.3)
    for side in "LR":
        upper = at[f"lowerarm01.{side}"] - at[f"upperarm01.{side}"]
        drives.append(0.20 + abs(angle_between(upper, -trunk[:, 1]) - 0.75) / 1.0)
    for side in "LR":
        drives.append(0.1 + angle_between(at[f"lowerleg01.{side}"] - at[f"upperleg01.{side}"], -pelvis[:, 1]) / 0.9)
    for side in "LR":
        thigh = at[f"lowerleg01.{side}"] - at[f"upperleg01.{side}"]
        drives.append(0.08 + angle_between(thigh, at[f"foot.{side}"] - at[f"lowerleg01.{side}"]) / 1.0)
    twist = pelvis.T @ trunk
    drives.append(0.25 + float(np.arccos(np.clip((np.trace(twist) - 1) / 2, -1, 1))) / 0.35)
    return np.clip(drives, 0, 1)


def pose_actor(actor: Actor, pose: BodyPose) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """verts (V, 3) and unit normals (V, 3), float32, and joints (J, 3) of the clothed person in a pose."""
    from pipelines.studio.kernels import skin_with_folds, smooth_normals

    turns, places = posed_joints(actor.rest_joints, actor.parents, pose)
    shifts = places - np.einsum("jab,jb->ja", turns, actor.rest_joints)
    verts, normals = np.empty_like(actor.verts), np.empty_like(actor.verts)
    skin_with_folds(
        actor.verts,
        actor.normals,
        actor.folds,
        fold_drives(turns, places).astype(np.float32),
        actor.skin_indices,
        actor.skin_weights,
        turns.astype(np.float32),
        shifts.astype(np.float32),
        verts,
    )
    smooth_normals(verts, actor.faces, normals)
    return verts, normals, places
