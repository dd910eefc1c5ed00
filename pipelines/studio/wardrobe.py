"""Clothes cut from a body: offset submeshes that keep a distance, clipped hems, driven folds (build time)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipelines.body.skeleton import joint_index, subtree
from pipelines.studio import materials
from pipelines.studio.meshwork import Hull, Layer, averaging, boundary_vertices, clip, normals_of, subdivide, submesh
from pipelines.studio.meshwork import value_noise as noise

FAR = 10.0
# A fold field is driven by how far one joint is bent; actors.fold_drives computes the values in this order.
FOLD_DRIVERS = ("elbow.L", "elbow.R", "shoulder.L", "shoulder.R", "hip.L", "hip.R", "knee.L", "knee.R", "waist")


@dataclass(frozen=True, eq=False)
class Figure:
    """A naked person at rest, y up, facing +z, metres."""

    verts: np.ndarray  # (V, 3)
    faces: np.ndarray  # (T, 3)
    weights: np.ndarray  # (V, J)
    joints: np.ndarray  # (J, 3)
    uvs: np.ndarray  # (U, 2)
    face_uvs: np.ndarray  # (T, 3)

    def at(self, name: str) -> np.ndarray:
        return self.joints[joint_index(name)]

    def share(self, *names: str) -> np.ndarray:
        """(V,) how much of a vertex follows the named joints and what hangs from them."""
        inside = np.any([subtree(name) for name in names], axis=0)
        return self.weights[:, inside].sum(1)


def limb_length_along(points: np.ndarray, chain: list[np.ndarray]) -> np.ndarray:
    """(P,) metres along a polyline of joints, of each point's nearest place on it (open-ended at both ends)."""
    best, answer, start = np.full(len(points), np.inf), np.zeros(len(points)), 0.0
    for k, (a, b) in enumerate(pairwise(chain)):
        length = float(np.linalg.norm(b - a))
        along = (points - a) @ (b - a) / length
        low, high = (-np.inf if k == 0 else 0.0), (np.inf if k == len(chain) - 2 else length)
        held = np.clip(along, low, high)
        gap = np.linalg.norm(points - (a + held[:, None] * (b - a) / length), axis=1)
        nearer = gap < best
        best[nearer], answer[nearer] = gap[nearer], start + held[nearer]
        start += length
    return answer


def sleeve_length(figure: Figure, points: np.ndarray, side: str) -> np.ndarray:
    """(P,) metres from the shoulder joint along the arm."""
    return limb_length_along(points, [figure.at(f"{bone}.{side}") for bone in ("upperarm01", "lowerarm01", "wrist")])


def leg_length(figure: Figure, points: np.ndarray, side: str) -> np.ndarray:
    """(P,) metres from the hip joint along the leg."""
    return limb_length_along(points, [figure.at(f"{bone}.{side}") for bone in ("upperleg01", "lowerleg01", "foot")])


def drape(figure: Figure, keep: np.ndarray, gap: np.ndarray, taut: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cloth over the faces `keep`: offset by `gap` (V,), smoothed `taut` times without coming nearer than 60 % of it.

    returns  faces, verts (subdivided once) and their rest on the body: dense weights
    """
    faces, verts, normals, least, weights = submesh(
        keep, figure.faces, figure.verts, normals_of(figure.verts, figure.faces), gap, figure.weights
    )
    hull = Hull(figure.verts, figure.faces)
    mean = averaging(faces, len(verts))
    inner = ~boundary_vertices(faces, len(verts))[:, None]
    cloth = verts + normals * least[:, None]
    for _ in range(taut):
        cloth = np.where(inner, 0.5 * cloth + 0.5 * (mean @ cloth), cloth)
        cloth = hull.push_out(cloth, 0.6 * least)
    for _ in range(3):
        weights = 0.5 * weights + 0.5 * (mean @ weights)
    faces, cloth, least, weights = subdivide(faces, cloth, least, weights)
    cloth = hull.push_out(cloth, 0.5 * least)
    return faces, cloth, weights


def hem(points: np.ndarray, base: float, seed: int) -> np.ndarray:
    """(P,) height of a hem that is not quite level."""
    return base + 0.006 * noise(points * [9.0, 0.0, 9.0] + 3.1, seed)


def shirt(figure: Figure, style: dict[str, float], material: int) -> Layer:
    """A top with sleeves: gap_m, hem_m above the crotch, sleeve (share of the arm), neck_m radius of the neckline."""
    crotch = figure.at("upperleg01.L")[1] - 0.06
    arms, legs, head = (
        figure.share("upperarm01.L", "upperarm01.R"),
        figure.share("upperleg01.L", "upperleg01.R"),
        figure.share("neck01"),
    )
    hem_at = crotch + style["hem_m"]
    gap = np.full(len(figure.verts), style["gap_m"])
    low = np.clip((hem_at + 0.20 - figure.verts[:, 1]) / 0.20, 0, 1) * (1 - arms)
    gap += low * style.get("flare_m", 0.012)
    gap = gap * (1 - head) + 0.006 * head
    hands = figure.share("wrist.L", "wrist.R")
    keep = ((figure.verts[:, 1] > hem_at - 0.07) | (arms > 0.5)) & (hands < 0.9) & (head < 0.995)
    keep &= ~((legs > 0.5) & (figure.verts[:, 1] < hem_at - 0.07))
    faces, cloth, weights = drape(figure, keep[figure.faces].all(1), gap, int(style.get("taut", 14)))
    arm_rows = np.any([subtree("upperarm01.L"), subtree("upperarm01.R")], axis=0)
    arm = weights[:, arm_rows].sum(1)
    inside = np.where(arm > 0.6, FAR, cloth[:, 1] - hem(cloth, hem_at, 3))
    inside = np.minimum(inside, neckline(figure, cloth, style["neck_m"], style.get("neck_front_m", 0.02)))
    for side in "LR":
        chain = [figure.at(f"{bone}.{side}") for bone in ("upperarm01", "lowerarm01", "wrist")]
        reach = sum(float(np.linalg.norm(b - a)) for a, b in pairwise(chain)) * style["sleeve"]
        own = weights[:, subtree(f"upperarm01.{side}")].sum(1) > 0.6
        along = sleeve_length(figure, cloth, side) + 0.004 * noise(cloth * 30, 5)
        inside = np.where(own, np.minimum(inside, reach - along), inside)
    cloth = rumple(figure, faces, cloth, style.get("rumple_m", 0.004), arm)
    faces, cloth, weights = clip(faces, inside, cloth, weights)
    faces, cloth, weights = without_scraps(faces, cloth, weights)
    return dressed(figure, faces, cloth, weights, material, "top")


def neckline(figure: Figure, points: np.ndarray, radius: float, front_drop: float) -> np.ndarray:
    """(P,) metres outside the neck opening, which lies `front_drop` deeper in front."""
    low, high = figure.at("neck01"), figure.at("head") + np.array([0, 0.15, 0])
    low = low + np.array([0.0, 0.0, 0.005])
    axis = (high - low) / np.linalg.norm(high - low)
    along = np.maximum((points - low) @ axis, 0.0)
    gap = np.linalg.norm((points - low - along[:, None] * axis) * [0.85, 1.0, 1.0], axis=1)
    front = np.clip((points[:, 2] - low[2]) / 0.08, 0, 1)
    return gap - radius - front_drop * front


def trousers(figure: Figure, style: dict[str, float], material: int) -> Layer:
    """Legs from the waist to `ankle_m` above the floor, `gap_m` at the thigh and `bottom_gap_m` at the ankle."""
    arms = figure.share("clavicle.L", "clavicle.R")
    crotch = figure.at("upperleg01.L")[1] - 0.06
    waist_at = crotch + style["rise_m"]
    feet = figure.share("foot.L", "foot.R")
    floor = figure.verts[:, 1].min()
    down = np.clip((crotch - figure.verts[:, 1]) / (crotch - floor - 0.08), 0, 1)
    gap = style["gap_m"] + (style["bottom_gap_m"] - style["gap_m"]) * down**1.5
    keep = (figure.verts[:, 1] < waist_at + 0.07) & (arms < 0.3) & ((feet < 0.9) | (figure.verts[:, 1] > floor + 0.03))
    faces, cloth, weights = drape(figure, keep[figure.faces].all(1), gap, int(style.get("taut", 12)))
    foot_rows = np.any([subtree("foot.L"), subtree("foot.R")], axis=0)
    loose = np.clip((figure.at("foot.L")[1] + 0.10 - cloth[:, 1]) / 0.12, 0, 1)[:, None]
    weights = hand_over(weights, foot_rows, loose)
    cloth = as_tubes(figure, cloth, floor, style.get("tube_m", 0.05))
    bottom = hem(cloth, floor + style["ankle_m"], 8) + 0.02 * np.clip(
        (cloth[:, 2] - figure.at("foot.L")[2]) / 0.08, -1, 1
    )
    inside = np.minimum(waist_at - cloth[:, 1], cloth[:, 1] - bottom)
    cloth = rumple(figure, faces, cloth, style.get("rumple_m", 0.003), np.zeros(len(cloth)))
    faces, cloth, weights = clip(faces, inside, cloth, weights)
    faces, cloth, weights = without_scraps(faces, cloth, weights)
    return dressed(figure, faces, cloth, weights, material, "bottom")


def as_tubes(figure: Figure, cloth: np.ndarray, floor: float, radius_m: float) -> np.ndarray:
    """Trouser legs that hang as tubes over the foot instead of taking its shape."""
    result = cloth.copy()
    for side in "LR":
        ankle = figure.at(f"foot.{side}") + np.array([0.0, 0.0, 0.012])
        low = np.clip((floor + 0.15 - cloth[:, 1]) / 0.08, 0, 1)
        mine = np.sign(cloth[:, 0]) == np.sign(ankle[0])
        off = (cloth - ankle) * [1, 0, 1]
        size = np.linalg.norm(off, axis=1)
        tube = (
            ankle * [1, 0, 1] + off * (np.minimum(size, radius_m) / np.maximum(size, 1e-6))[:, None] + cloth * [0, 1, 0]
        )
        share = (low * mine)[:, None]
        result = result * (1 - share) + tube * share
    return result


def without_scraps(faces: np.ndarray, *rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Only pieces of a mesh that have more than 4 % of its faces."""
    import scipy.sparse as sp
    from scipy.sparse.csgraph import connected_components

    count = len(rows[0])
    links = sp.coo_matrix(
        (np.ones(3 * len(faces)), (faces.ravel(), np.roll(faces, 1, 1).ravel())), shape=(count, count)
    )
    _, piece = connected_components(links, directed=False)
    sizes = np.bincount(piece[faces[:, 0]], minlength=piece.max() + 1)
    return submesh(sizes[piece[faces[:, 0]]] > 0.04 * len(faces), faces, *rows)


def hood(figure: Figure, top: Layer) -> Layer:
    """A hood that lies on the back: a thick roll round the neck, thin at the throat, sagging behind."""
    low = figure.at("neck01")
    count, around = 64, 22
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)  # 0 = behind
    back = 0.5 + 0.5 * np.cos(turn)
    centre = np.stack(
        [
            0.098 * np.sin(turn) * (1 - 0.12 * back),
            low[1] + 0.012 - 0.060 * (1 - back) ** 1.5 - 0.012 * back,
            low[2] + 0.012 - 0.088 * np.cos(turn),
        ],
        1,
    )
    across = np.stack([np.sin(turn), np.zeros(count), -np.cos(turn)], 1)  # outwards
    thick, tall = 0.013 + 0.030 * back**1.5, 0.016 + 0.052 * back**2
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
    ring = centre[:, None] + across[:, None] * (thick[:, None] * np.cos(angle))[..., None]
    ring[..., 1] += tall[:, None] * np.sin(angle) - (back**2)[:, None] * 0.035
    sag = np.clip(-np.sin(angle), 0, 1)[None] * (back**3)[:, None]
    ring[..., 1] -= 0.060 * sag * np.exp(-(((turn[:, None] + np.pi) % (2 * np.pi) - np.pi) ** 2) / 0.5)
    verts = ring.reshape(-1, 3)
    verts = verts + 0.005 * noise(verts * 28, 91)[:, None] * (verts - np.repeat(centre, around, 0)) / 0.03
    i, j = np.arange(count)[:, None], np.arange(around)[None]
    a, b = i * around + j, i * around + (j + 1) % around
    c, d = (i + 1) % count * around + j, (i + 1) % count * around + (j + 1) % around
    faces = np.concatenate([np.stack([a, b, d], -1).reshape(-1, 3), np.stack([a, d, c], -1).reshape(-1, 3)])
    hull = Hull(figure.verts, figure.faces)
    verts = hull.push_out(verts, 0.006)
    out = np.einsum(
        "tc,tc->t",
        np.cross(verts[faces[:, 1]] - verts[faces[:, 0]], verts[faces[:, 2]] - verts[faces[:, 0]]),
        verts[faces[:, 0]] - np.repeat(centre, around, 0)[faces[:, 0]],
    )
    if out.sum() < 0:
        faces = faces[:, ::-1]
    from scipy.spatial import cKDTree

    near = cKDTree(top.verts).query(verts, k=8)[1]
    weights = top.weights[near].mean(1)
    return Layer(verts, faces, weights, materials.FLEECE, np.full((len(verts), 3), 0.5))


def hand_over(weights: np.ndarray, rows: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Weights (V, J) where the named joints give `share` (V, 1) of theirs to the shin: hems keep off the foot."""
    result = weights.copy()
    for side in "LR":
        own = rows & subtree(f"foot.{side}")
        given = result[:, own] * share
        result[:, own] -= given
        result[:, joint_index(f"lowerleg02.{side}")] += given.sum(1)
    return result


def rumple(figure: Figure, faces: np.ndarray, cloth: np.ndarray, amount: float, arm: np.ndarray) -> np.ndarray:
    """Folds that are always there: soft diagonal drapes on the trunk, rings along the limbs."""
    normals = normals_of(cloth, faces)
    bend = noise(cloth * 4.0, 21) * 0.6
    slope = np.sign(cloth[:, 0]) * 0.7
    drapes = noise(
        np.stack([(cloth[:, 0] * slope + cloth[:, 1] + 0.03 * bend) * 17.0, cloth[:, 0] * 5.0, cloth[:, 2] * 6.0], 1),
        22,
    )
    fine = noise(cloth * [30.0, 14.0, 30.0], 23) * 0.35
    height = (drapes + fine) * (1.0 + 0.4 * arm)
    return cloth + normals * (amount * height)[:, None]


def dressed(
    figure: Figure, faces: np.ndarray, cloth: np.ndarray, weights: np.ndarray, material: int, kind: str
) -> Layer:
    folds = fold_fields(figure, cloth, kind)
    return Layer(cloth, faces, weights, material, np.full((len(cloth), 3), 0.5), folds)


def rings(along: np.ndarray, around: np.ndarray, wave_m: float, seed: int) -> np.ndarray:
    """(P,) 0..1 ridges across a limb, sharper above than below, wandering with the angle `around`."""
    wander = noise(np.stack([along * 14.0, np.cos(around) * 1.3, np.sin(around) * 1.3], 1), seed)
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * along / wave_m + 3.0 * wander)
    return wave**1.6


def fold_fields(figure: Figure, cloth: np.ndarray, kind: str) -> np.ndarray:
    """(V, len(FOLD_DRIVERS)) metres along the normal at full drive; 6 to 10 mm at the crests."""
    fields = np.zeros((len(cloth), len(FOLD_DRIVERS)))

    def bump(distance: np.ndarray, width: float) -> np.ndarray:
        return np.exp(-0.5 * (distance / width) ** 2)

    for k, side in enumerate("LR"):
        mine = np.sign(figure.at(f"upperarm01.{side}")[0])
        if kind == "top":
            along = sleeve_length(figure, cloth, side)
            elbow = figure.at(f"lowerarm01.{side}")
            upper = float(np.linalg.norm(elbow - figure.at(f"upperarm01.{side}")))
            hand = figure.at(f"wrist.{side}") - elbow
            back = np.cross(hand, figure.at(f"upperarm01.{side}") - elbow)
            inner = np.cross(back, hand)
            inner /= np.linalg.norm(inner)
            off = cloth - elbow
            near = np.clip(np.linalg.norm(off, axis=1), 0, None)
            around = np.arctan2(off @ (back / np.linalg.norm(back)), off @ inner)
            side_of = 0.35 + 0.65 * (0.5 + 0.5 * np.cos(around))
            limb = (near < 0.30) & (np.sign(cloth[:, 0]) == mine)
            fields[:, k] = np.where(
                limb, 0.010 * rings(along, around, 0.038, 31 + k) * bump(along - upper, 0.075) * side_of, 0
            )
            shoulder = figure.at(f"upperarm01.{side}") - [mine * 0.02, 0.05, 0]
            off = cloth - shoulder
            rays = np.arctan2(off[:, 1], off[:, 0] * mine)
            fan = rings(np.linalg.norm(off, axis=1) * 0.35 + rays * 0.03, rays, 0.034, 33 + k)
            fields[:, 2 + k] = 0.008 * fan * bump(np.linalg.norm(off * [1, 1, 0.8], axis=1), 0.11)
        else:
            hip, knee = figure.at(f"upperleg01.{side}"), figure.at(f"lowerleg01.{side}")
            along = leg_length(figure, cloth, side)
            limb = np.sign(cloth[:, 0]) == mine
            off = cloth - knee
            around = np.arctan2(off[:, 0], -off[:, 2])
            upper = float(np.linalg.norm(knee - hip))
            side_of = 0.3 + 0.7 * (0.5 + 0.5 * np.cos(around))
            fields[:, 6 + k] = np.where(
                limb, 0.010 * rings(along, around, 0.045, 41 + k) * bump(along - upper, 0.08) * side_of, 0
            )
            crease = along + 0.35 * (cloth[:, 0] * mine)
            front = np.clip(0.5 + (cloth[:, 2] - hip[2]) / 0.12, 0, 1)
            fields[:, 4 + k] = np.where(
                limb, 0.009 * rings(crease, around, 0.042, 43 + k) * bump(along - 0.03, 0.07) * (0.3 + 0.7 * front), 0
            )
    if kind == "top":
        waist = figure.at("spine04")[1] + 0.04
        around = np.arctan2(cloth[:, 0], cloth[:, 2])
        arm = np.abs(cloth[:, 0]) > abs(figure.at("upperarm01.L")[0]) + 0.02
        fields[:, 8] = np.where(
            arm, 0, 0.009 * rings(cloth[:, 1] + 0.25 * cloth[:, 0], around, 0.05, 51) * bump(cloth[:, 1] - waist, 0.09)
        )
    return fields


def shoe(
    figure: Figure,
    side: str,
    upper: tuple[float, float, float],
    sole: tuple[float, float, float],
    accent: tuple[float, float, float],
    collar_m: float,
) -> Layer:
    """A shoe as the smoothed convex hull of the foot with a sole of 22 mm under it."""
    from scipy.spatial import ConvexHull

    own = figure.share(f"foot.{side}") > 0.5
    floor = figure.verts[own, 1].min()
    foot = figure.verts[own & (figure.verts[:, 1] < floor + collar_m)]
    foot = foot + normals_of(figure.verts, figure.faces)[own & (figure.verts[:, 1] < floor + collar_m)] * 0.006
    hull = ConvexHull(foot)
    centre = np.array([foot[:, 0].mean(), floor + 0.035, 0.5 * (foot[:, 2].min() + foot[:, 2].max())])
    rows, columns = 28, 44
    lat = np.linspace(-np.pi / 2, np.pi / 2, rows)
    lon = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    stretch = np.array([0.35, 0.35, 1.0])
    ring = (
        np.stack(
            [
                np.cos(lat)[:, None] * np.sin(lon),
                np.repeat(np.sin(lat)[:, None], columns, 1),
                np.cos(lat)[:, None] * np.cos(lon),
            ],
            -1,
        ).reshape(-1, 3)
        * stretch
    )
    ring /= np.linalg.norm(ring, axis=1, keepdims=True)
    slope = ring @ hull.equations[:, :3].T
    reach = -(hull.equations[:, 3] + hull.equations[:, :3] @ centre)
    far = np.min(np.where(slope > 1e-9, reach / np.where(slope > 1e-9, slope, 1), np.inf), axis=1)
    verts = centre + ring * far[:, None]
    faces = []
    for r in range(rows - 1):
        for c in range(columns):
            a, b = r * columns + c, r * columns + (c + 1) % columns
            faces += [(a, b, b + columns), (a, b + columns, a + columns)]
    mesh = np.array(faces)
    mean = averaging(mesh, len(verts))
    for _ in range(4):
        verts = 0.5 * verts + 0.5 * (mean @ verts)
    below = verts[:, 1] < floor + 0.016
    verts[below, 1] = floor - SOLE_M + (verts[below, 1] - verts[:, 1].min()) * 0.3
    flare = np.exp(-(((verts[:, 1] - floor - 0.002) / 0.022) ** 2))
    verts[:, [0, 2]] += (verts - centre)[:, [0, 2]] * (0.05 * flare)[:, None]
    height = verts[:, 1] - floor
    tint = np.tile(np.array(upper), (len(verts), 1))
    tint[height < 0.012] = sole
    z = (verts[:, 2] - foot[:, 2].min()) / np.ptp(foot[:, 2])
    laces = (np.abs(verts[:, 0] - centre[0]) < 0.02) & (z > 0.45) & (z < 0.75) & (height > 0.03)
    tint[laces & (np.arange(len(verts)) // columns % 2 == 0)] = accent
    heel = (z < 0.12) & (height > 0.03) & (height < 0.07)
    tint[heel] = accent
    weights = np.zeros((len(verts), figure.weights.shape[1]))
    weights[:, joint_index(f"foot.{side}")] = 1.0
    return Layer(verts, mesh, weights, materials.LEATHER, tint)


SOLE_M = 0.020


def pattern_lengths(figure: Figure, top: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Where patterns of cloth sit at rest, for the left side.

    returns  cut (13,): shoulder xyz, upper arm direction, forearm direction, upper arm length, collar height, sleeve
             length, hem height; leg (4,): hip joint x, crotch height, knee height, side seam z
    """
    shoulder, elbow, wrist = (figure.at(f"{bone}.L") for bone in ("upperarm01", "lowerarm01", "wrist"))
    upper, fore = elbow - shoulder, wrist - elbow
    lengths = float(np.linalg.norm(upper)), float(np.linalg.norm(fore))
    crotch = figure.at("upperleg01.L")[1] - 0.06
    cut = np.array(
        [
            *shoulder,
            *upper / lengths[0],
            *fore / lengths[1],
            lengths[0],
            figure.at("neck01")[1],
            sum(lengths) * top["sleeve"],
            crotch + top["hem_m"],
        ]
    )
    leg = np.array(
        [figure.at("upperleg01.L")[0], crotch, figure.at("lowerleg01.L")[1], figure.at("upperleg01.L")[2] - 0.005]
    )
    return cut, leg
