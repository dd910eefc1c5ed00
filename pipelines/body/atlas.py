"""Unwraps the coarse body into one square: a pattern of charts along its regions, flattened and packed.

Charts are cut as a tailor would: front and back for trunk, hips and hands, one seam along the hidden side of every
tube. Each chart is flattened without a flipped face, then all are packed by their texels. Used at bake time only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.body.flatten import flatten_disk
from pipelines.body.packing import pack
from pipelines.body.regions import shortest_border
from pipelines.body.surface import REGION_NAMES, face_neighbours

# Texels per metre beside the trunk's: what people look at gets more.
DENSITY = {"face": 2.6, "scalp": 1.25, "neck": 1.25, "hand_l": 1.4, "hand_r": 1.4}


@dataclass(frozen=True, eq=False)
class Chart:
    """A disk of faces with vertices of its own along its cuts."""

    chosen: np.ndarray          # (T',) faces of the body
    faces: np.ndarray           # (T', 3) into `origin`
    origin: np.ndarray          # (U',) vertex of the body behind each chart vertex
    region: int


def make_atlas(verts: np.ndarray, faces: np.ndarray, face_region: np.ndarray, joints: dict[str, np.ndarray],
               finger: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uvs (U, 2) in 0..1 with v down, and face_uvs (T, 3).

    verts (V, 3) mean body, faces (T, 3), face_region (T,) into REGION_NAMES, joints by name (3,),
    finger (T,) which finger 1..5 a face belongs to, 0 = none
    """
    charts = cut_charts(verts, faces, face_region, joints, finger)
    flat = []
    for chart in charts:
        uv = flatten_disk(verts[chart.origin], chart.faces)
        uv = upright(uv, verts[chart.origin])
        flat.append(uv * [1, -1] * DENSITY.get(REGION_NAMES[chart.region], 1.0))
    placed = pack(flat, [chart.faces for chart in charts])
    face_uvs, count = np.zeros(faces.shape, np.int32), 0
    for chart in charts:
        face_uvs[chart.chosen] = chart.faces + count
        count += len(chart.origin)
    return np.concatenate(placed), face_uvs


def cut_charts(verts: np.ndarray, faces: np.ndarray, face_region: np.ndarray, joints: dict[str, np.ndarray],
               finger: np.ndarray) -> list[Chart]:
    """Disks that together are the body, most of them a region or half of one."""
    corners = verts[faces]
    middle = corners.mean(1)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    label = face_region.astype(int) * 2

    def split(region: str, signed_m: np.ndarray, stray_m: float) -> None:
        """Gives the region's positive side a chart of its own."""
        inside = face_region == REGION_NAMES.index(region)
        label[inside & shortest_border(verts, faces, np.where(inside, signed_m, 0), stray_m)] += 1

    side_seam = joints["upperarm01.L"][2] - 0.01
    split("torso", middle[:, 2] - side_seam, 0.02)
    split("hips", middle[:, 2] - joints["upperleg01.L"][2], 0.02)
    for side in "LR":
        split(f"hand_{side.lower()}", 0.006 * _towards_back(normal, joints, finger, side), 0.002)
        split(f"foot_{side.lower()}", 0.01 * (-normal[:, 1] - 0.4), 0.004)

    charts = []
    for value in np.unique(label):
        chosen = np.flatnonzero(label == value)
        region = value // 2
        for part in _connected(faces, chosen):
            own, origin = _opened(faces[part], set())       # a vertex where two borders touch becomes two
            own, again = _opened(own, _seam(verts[origin], own, REGION_NAMES[region]))
            _check_disk(own, REGION_NAMES[region])
            charts.append(Chart(part, own, origin[again], int(region)))
    return charts


def upright(uv: np.ndarray, verts: np.ndarray) -> np.ndarray:
    """Turns a flat chart (U, 2) so that the body's up is up in it, as well as one turn can."""
    flat, height = uv - uv.mean(0), verts[:, 1] - verts[:, 1].mean()
    a, b = flat.T @ height
    length = np.hypot(a, b)
    return flat @ np.array([[b, a], [-a, b]]) / length if length > 0 else flat


def _towards_back(normal: np.ndarray, joints: dict[str, np.ndarray], finger: np.ndarray, side: str) -> np.ndarray:
    """(T,) -1..1: how far each face looks to the back of the hand, or of its own finger."""
    def joint(name: str) -> np.ndarray:
        return joints[f"{name}.{side}"]

    back = np.cross(joint("finger3-1") - joint("wrist"), joint("finger5-1") - joint("finger2-1"))
    if (joint("finger3-3") - joint("finger3-1")) @ back > 0:    # fingers curl towards the palm
        back = -back
    towards = normal @ (back / np.linalg.norm(back))
    for number in range(1, 6):
        here = finger == number
        axis = joint(f"finger{number}-3") - joint(f"finger{number}-1")
        across = back - (back @ axis) / (axis @ axis) * axis
        towards[here] = normal[here] @ (across / np.linalg.norm(across))
    return towards


def _seam(verts: np.ndarray, faces: np.ndarray, region: str) -> set[tuple[int, int]]:
    """Edges (a < b) to cut so that the part becomes a disk that lies flat; along the side that is seen least."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra

    loops = _boundary_loops(faces)
    if len(loops) == 1 and region != "scalp":
        return set()
    hidden = {
        "neck": np.array([0.0, 0, -1]), "scalp": np.array([0.0, 0, -1]), "foot": np.array([0.0, 0, -1]),
        "upper_arm": np.array([0.0, -1, -0.6]), "lower_arm": np.array([0.0, -1, -0.6]),
        "upper_leg": np.array([-1.0, 0, -0.3]), "lower_leg": np.array([-1.0, 0, -0.3]),
    }[region[:-2] if region.endswith(("_l", "_r")) else region].copy()
    if region.endswith("_r"):
        hidden[0] *= -1
    hidden /= np.linalg.norm(hidden)
    edges = np.unique(np.sort(np.stack([faces, np.roll(faces, -1, 1)], 2).reshape(-1, 2), axis=1), axis=0)
    start, end = verts[edges[:, 0]], verts[edges[:, 1]]
    centre = verts.mean(0)
    reach = np.abs((verts - centre) @ hidden).max()
    visible = 1 - ((start + end) / 2 - centre) @ hidden / reach         # 0 on the hidden side, 2 opposite
    cost = np.linalg.norm(end - start, axis=1) * (0.02 + visible**2)
    graph = coo_matrix((cost, (edges[:, 0], edges[:, 1])), (len(verts), len(verts)))
    if region == "scalp":
        targets = [np.array([verts[:, 1].argmax()])]
        loop = loops[0]
    else:
        loop, *targets = loops
    seam: set[tuple[int, int]] = set()
    for target in targets:
        distance, before, _ = dijkstra(graph, directed=False, indices=loop, min_only=True, return_predecessors=True)
        v = int(target[np.argmin(distance[target])])
        while before[v] >= 0:
            seam.add((min(v, int(before[v])), max(v, int(before[v]))))
            v = int(before[v])
    return seam


def _opened(faces: np.ndarray, seam: set[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Faces with vertices of their own along the seam: corners that meet across uncut edges share one.

    returns  faces (T, 3) into the second, the vertices (U,) they come from
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    side: dict[tuple[int, int], tuple[int, int]] = {}
    starts: list[int] = []
    ends: list[int] = []
    for row, face in enumerate(faces.tolist()):
        for k in range(3):
            a, b = face[k], face[(k + 1) % 3]
            here = (3 * row + k, 3 * row + (k + 1) % 3)
            if (b, a) in side and (min(a, b), max(a, b)) not in seam:
                starts += here
                ends += side[b, a][::-1]
            side[a, b] = here
    corners = 3 * len(faces)
    count, label = connected_components(coo_matrix((np.ones(len(starts)), (starts, ends)), (corners, corners)), False)
    origin = np.zeros(count, int)
    origin[label] = faces.ravel()
    return label.reshape(-1, 3), origin


def _check_disk(faces: np.ndarray, name: str) -> None:
    edges = np.unique(np.sort(np.stack([faces, np.roll(faces, -1, 1)], 2).reshape(-1, 2), axis=1), axis=0)
    if faces.max() + 1 - len(edges) + len(faces) != 1 or len(_boundary_loops(faces)) != 1:
        raise ValueError(f"a chart of {name} is not a disk")


def _connected(faces: np.ndarray, chosen: np.ndarray) -> list[np.ndarray]:
    """The chosen faces in pieces that hang together by edges."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    place = np.full(len(faces), -1)
    place[chosen] = np.arange(len(chosen))
    ends = place[face_neighbours(faces)[chosen]]
    starts = np.repeat(np.arange(len(chosen))[:, None], 3, 1)[ends >= 0]
    graph = coo_matrix((np.ones(len(starts)), (starts, ends[ends >= 0])), (len(chosen), len(chosen)))
    count, label = connected_components(graph, False)
    return [chosen[label == piece] for piece in range(count)]


def _boundary_loops(faces: np.ndarray) -> list[np.ndarray]:
    """Vertices around each border, longest border first."""
    edges = {(int(a), int(b)) for face in faces for a, b in zip(face, np.roll(face, -1))}
    following = {a: b for a, b in edges if (b, a) not in edges}
    loops = []
    while following:
        start, v = following.popitem()
        loop = [start]
        while v != start:
            loop.append(v)
            v = following.pop(v)
        loops.append(np.array(loop))
    return sorted(loops, key=len, reverse=True)
