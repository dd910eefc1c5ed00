"""Clothes cut from a body: offset submeshes that keep a distance, hang loose where they are wide, and end in hems.

Every tailor takes a figure, a style (metres and shares, see each) and what is worn underneath, and returns layers
whose material the caller decides (build time).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from pipelines.body.skeleton import joint_index, subtree
from pipelines.studio.figure import Figure, limb_axis, sleeve_length
from pipelines.studio.folds import fold_fields, rumple, stacked
from pipelines.studio.meshwork import (
    Hull,
    Layer,
    averaging,
    boundary_vertices,
    clip,
    normals_of,
    subdivide,
    submesh,
    turned_in,
)
from pipelines.studio.meshwork import value_noise as noise

FAR = 10.0
Style = dict[str, float]


def drape(
    figure: Figure, keep: np.ndarray, gap: np.ndarray, taut: int, under: Hull | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cloth over the faces `keep`: offset by `gap` (V,), smoothed `taut` times without coming nearer than 60 % of it.

    under    what is worn beneath; the cloth keeps 5 mm off it
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
    if under is not None:
        cloth = under.push_out(cloth, 0.006, near=0.05)
    faces, cloth, least, weights = subdivide(faces, cloth, least, weights)
    cloth = hull.push_out(cloth, 0.5 * least)
    if under is not None:
        cloth = under.push_out(cloth, 0.005, near=0.05)
    return faces, cloth, weights


def hem(points: np.ndarray, base: float, seed: int) -> np.ndarray:
    """(P,) height of a hem that is not quite level."""
    return base + 0.006 * noise(points * [9.0, 0.0, 9.0] + 3.1, seed)


def shirt(figure: Figure, style: Style, under: Hull | None = None) -> list[Layer]:
    """A top: gap_m off the body, hem_m above the crotch, sleeve (share of the arm) or armhole_m (radius of a vest's),
    neck_m radius of the neckline, sleeve_m and sleeve_end_m least radius of the sleeve, opening_m of an open front."""
    crotch = figure.crotch_m
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
    if hem_at > crotch + 0.03:
        keep &= ~((legs > 0.5) & (figure.verts[:, 1] < hem_at - 0.07))
    faces, cloth, weights = drape(figure, keep[figure.faces].all(1), gap, int(style.get("taut", 14)), under)
    arm = weights[:, subtree("upperarm01.L") | subtree("upperarm01.R")].sum(1)
    if hem_at < crotch + 0.08:
        cloth, weights = bridged(figure, cloth, weights, arm)
    cloth = loose_sleeves(figure, cloth, weights, style)
    inside = np.where(arm > 0.6, FAR, cloth[:, 1] - hem(cloth, hem_at, 3))
    inside = np.minimum(inside, neckline(figure, cloth, style["neck_m"], style.get("neck_front_m", 0.02)))
    inside = np.minimum(inside, sleeve_end(figure, cloth, weights, style))
    if "opening_m" in style:
        cloth, open_by = opened(figure, cloth, arm, hem_at, style["opening_m"])
        inside = np.minimum(inside, open_by)
    cloth = rumple(faces, cloth, style.get("rumple_m", 0.004), arm)
    faces, cloth, weights = without_scraps(*clip(faces, inside, cloth, weights))
    return [dressed(figure, faces, cloth, weights, "top", style.get("loose", 1.0))]


def sleeve_end(figure: Figure, cloth: np.ndarray, weights: np.ndarray, style: Style) -> np.ndarray:
    """(P,) metres inside the end of the sleeve, or inside a vest's armhole."""
    inside = np.full(len(cloth), FAR)
    for side in "LR":
        own = weights[:, subtree(f"upperarm01.{side}")].sum(1)
        if "armhole_m" in style:
            shoulder = figure.at(f"upperarm01.{side}")
            outwards = np.sign(shoulder[0])
            across = (cloth - shoulder - [outwards * 0.02, -0.012, 0]) * [1.0, 0.80, 1.0]
            hole = np.linalg.norm(across * [0.9, 1, 0.8], axis=1) - style["armhole_m"]
            hole = np.where((own > 0.5) & (hole > 0), -hole, hole)
            inside = np.where(np.sign(cloth[:, 0]) == outwards, np.minimum(inside, hole), inside)
            continue
        chain = [figure.at(f"{bone}.{side}") for bone in ("upperarm01", "lowerarm01", "wrist")]
        reach = sum(float(np.linalg.norm(b - a)) for a, b in pairwise(chain)) * style["sleeve"]
        along = sleeve_length(figure, cloth, side) + 0.004 * noise(cloth * 30, 5)
        inside = np.where(own > 0.6, np.minimum(inside, reach - along), inside)
    return inside


def loose_sleeves(figure: Figure, cloth: np.ndarray, weights: np.ndarray, style: Style) -> np.ndarray:
    """Cloth moved away from the bones of the arm until the sleeve is as wide as the style asks."""
    if "sleeve_m" not in style:
        return cloth
    result = cloth.copy()
    for side in "LR":
        chain = [figure.at(f"{bone}.{side}") for bone in ("upperarm01", "lowerarm01", "wrist")]
        length = sum(float(np.linalg.norm(b - a)) for a, b in pairwise(chain))
        along, axis = limb_axis(cloth, chain)
        share = np.clip(weights[:, subtree(f"upperarm01.{side}")].sum(1) * 2 - 1, 0, 1)
        share = share * np.clip((along - 0.05) / 0.09, 0, 1)
        off = cloth - axis
        size = np.linalg.norm(off, axis=1)
        end = style.get("sleeve", 1.0)
        wide = np.interp(along / length, [0, 0.15, end], [style["sleeve_m"], style["sleeve_m"], style["sleeve_end_m"]])
        wide = wide * (1 - 0.22 * np.clip(off[:, 1] / np.maximum(size, 1e-6), 0, 1))  # it hangs: flat above the arm
        grown = np.maximum(size, wide) / np.maximum(size, 1e-6)
        result += off * ((grown - 1) * share)[:, None]
    return result


def bridged(
    figure: Figure, cloth: np.ndarray, weights: np.ndarray, arm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A long top closed between the legs: below the hips it takes the outline of both, and follows both thighs."""
    from pipelines.studio.skirts import column_radius, leg_blend

    low = np.clip((figure.crotch_m + 0.10 - cloth[:, 1]) / 0.08, 0, 1) * (arm < 0.5)
    centre = np.array([0.0, 0.0, figure.at("root")[2]])
    turn = np.arctan2(cloth[:, 0], cloth[:, 2] - centre[2])
    radius = column_radius(figure, figure.crotch_m + 0.06, turn, centre) + 0.022
    size = np.linalg.norm((cloth - centre)[:, [0, 2]], axis=1)
    grown = np.maximum(size, radius) / np.maximum(size, 1e-6)
    moved = centre + (cloth - centre) * np.stack([grown, np.ones(len(cloth)), grown], 1)
    share = low[:, None]
    follow = leg_blend(figure, cloth, weights)
    return cloth * (1 - share) + moved * share, weights * (1 - share) + follow * share


def opened(
    figure: Figure, cloth: np.ndarray, arm: np.ndarray, hem_at: float, half_width: float
) -> tuple[np.ndarray, np.ndarray]:
    """An open front: flaps that stand off the chest, and (P,) how far a point is beside the opening."""
    throat = figure.at("neck01")[1]
    down = np.clip((throat - cloth[:, 1]) / (throat - hem_at), 0, 1)
    edge = half_width * (0.45 + 0.75 * down) + 0.006 * noise(cloth * [0, 9.0, 0] + 1.7, 15)
    front = (cloth[:, 2] > figure.at("spine02")[2] + 0.01) & (arm < 0.5)
    beside = np.where(front, np.abs(cloth[:, 0]) - edge, FAR)
    flap = np.where(front, np.exp(-np.clip(beside, 0, None) / 0.045), 0) * down
    lifted = cloth.copy()
    lifted[:, 2] += 0.020 * flap * (1 + 0.6 * noise(cloth * [0, 7.0, 0], 16))
    lifted[:, 0] += np.sign(cloth[:, 0]) * 0.012 * flap
    return lifted, beside


def neckline(figure: Figure, points: np.ndarray, radius: float, front_drop: float) -> np.ndarray:
    """(P,) metres outside the neck opening, which lies `front_drop` deeper in front."""
    low, high = figure.at("neck01"), figure.at("head") + np.array([0, 0.15, 0])
    low = low + np.array([0.0, 0.0, 0.005])
    axis = (high - low) / np.linalg.norm(high - low)
    along = np.maximum((points - low) @ axis, 0.0)
    gap = np.linalg.norm((points - low - along[:, None] * axis) * [0.85, 1.0, 1.0], axis=1)
    front = np.clip((points[:, 2] - low[2]) / 0.08, 0, 1)
    return gap - radius - front_drop * front


def trousers(figure: Figure, style: Style, under: Hull | None = None) -> list[Layer]:
    """Legs from rise_m above the crotch down to ankle_m above the floor, or to `length` (share of the leg): gap_m off
    the thigh and bottom_gap_m off the ankle, at least thigh_m and tube_m in radius there."""
    arms = figure.share("clavicle.L", "clavicle.R")
    crotch = figure.crotch_m
    waist_at = crotch + style["rise_m"]
    feet = figure.share("foot.L", "foot.R")
    floor = figure.verts[:, 1].min()
    end = style.get("ankle_m", 0.0)
    if "length" in style:
        end = figure.at("upperleg01.L")[1] - style["length"] * (figure.at("upperleg01.L")[1] - floor)
    down = np.clip((crotch - figure.verts[:, 1]) / (crotch - floor - 0.08), 0, 1)
    gap = style["gap_m"] + (style["bottom_gap_m"] - style["gap_m"]) * down**1.5
    keep = (figure.verts[:, 1] < waist_at + 0.07) & (arms < 0.3) & ((feet < 0.9) | (figure.verts[:, 1] > floor + 0.03))
    keep &= figure.verts[:, 1] > end - 0.10
    faces, cloth, weights = drape(figure, keep[figure.faces].all(1), gap, int(style.get("taut", 12)), under)
    loose = np.clip((figure.at("foot.L")[1] + 0.10 - cloth[:, 1]) / 0.12, 0, 1)[:, None]
    weights = hand_over(weights, subtree("foot.L") | subtree("foot.R"), loose)
    if "thigh_m" in style:
        cloth = straight_legs(figure, cloth, style, end)
    slant = np.clip((cloth[:, 2] - figure.at("foot.L")[2]) / 0.08, -1, 1) * (0.02 if end < 0.15 else 0.006)
    inside = np.minimum(waist_at - cloth[:, 1], cloth[:, 1] - hem(cloth, floor + end, 8) - slant)
    cloth = rumple(faces, cloth, style.get("rumple_m", 0.003), np.zeros(len(cloth)))
    if end < 0.08:  # long enough to break on the shoe
        cloth = stacked(faces, cloth, floor + end, 0.6 * style.get("rumple_m", 0.003))
    faces, cloth, weights = without_scraps(*clip(faces, inside, cloth, weights))
    return [dressed(figure, faces, cloth, weights, "bottom", style.get("loose", 1.0))]


def straight_legs(figure: Figure, cloth: np.ndarray, style: Style, end: float) -> np.ndarray:
    """Trouser legs that fall straight from the thigh and hang as tubes over the foot, instead of taking their shape."""
    result = cloth.copy()
    crotch, floor = figure.crotch_m, figure.verts[:, 1].min()
    for side in "LR":
        bones = [figure.at(f"{name}.{side}") for name in ("foot", "lowerleg01", "upperleg01")]
        ankle = bones[0] + np.array([0.0, 0.0, -0.002])
        heights = [floor, ankle[1], bones[1][1], bones[2][1]]
        # the thigh's middle lies outside the line from hip to knee
        places = [ankle, ankle, bones[1] + [0, 0, -0.006], bones[2] + [np.sign(ankle[0]) * 0.012, 0, 0.004]]
        axis = np.stack([np.interp(cloth[:, 1], heights, [p[k] for p in places]) for k in (0, 2)], 1)
        mine = np.sign(cloth[:, 0]) == np.sign(ankle[0])
        off = cloth[:, [0, 2]] - axis
        size = np.linalg.norm(off, axis=1)
        wide = np.interp(cloth[:, 1], [floor + end, crotch - 0.04], [style["tube_m"], style["thigh_m"]])
        over_foot = np.clip((floor + 0.15 - cloth[:, 1]) / 0.08, 0, 1)
        radius = np.maximum(size, wide) * (1 - over_foot) + wide * over_foot
        share = np.clip((crotch - 0.02 - cloth[:, 1]) / 0.10, 0, 1) * mine
        moved = axis + off * (radius / np.maximum(size, 1e-6))[:, None]
        apart = np.sign(ankle[0]) * np.maximum(np.sign(ankle[0]) * moved[:, 0], 0.004)
        result[:, 0] += share * (apart - cloth[:, 0])
        result[:, 2] += share * (moved[:, 1] - cloth[:, 2])
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


def hand_over(weights: np.ndarray, rows: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Weights (V, J) where the named joints give `share` (V, 1) of theirs to the shin: hems keep off the foot."""
    result = weights.copy()
    for side in "LR":
        own = rows & subtree(f"foot.{side}")
        given = result[:, own] * share
        result[:, own] -= given
        result[:, joint_index(f"lowerleg02.{side}")] += given.sum(1)
    return result


def dressed(
    figure: Figure, faces: np.ndarray, cloth: np.ndarray, weights: np.ndarray, kind: str, loose: float
) -> Layer:
    """A garment without a material yet, its folds cut for a "top" or a "bottom" and `loose` (0..1) how deep."""
    faces, cloth, weights = turned_in(faces, cloth, weights, 0.001 + 0.004 * loose)
    return Layer(cloth, faces, weights, 0, np.full((len(cloth), 3), 0.5), loose * fold_fields(figure, cloth, kind))


def pattern_lengths(figure: Figure, style: Style, scale_m: float) -> np.ndarray:
    """(18,) where the pattern of a garment sits at rest, for the left side: shoulder xyz, upper arm direction, forearm
    direction, upper arm length, collar height, sleeve length, hem height (of a dress: its waist), what repeats,
    radius of the neckline and its drop in front, z of the neck, half width of an open front."""
    shoulder, elbow, wrist = (figure.at(f"{bone}.L") for bone in ("upperarm01", "lowerarm01", "wrist"))
    upper, fore = elbow - shoulder, wrist - elbow
    lengths = float(np.linalg.norm(upper)), float(np.linalg.norm(fore))
    sleeve = sum(lengths) * style.get("sleeve", 0.0)
    end = figure.waist_m if "pleats" in style else figure.crotch_m + style.get("hem_m", 0.0)
    neck = figure.at("neck01")
    throat = (style.get("neck_m", 0.0), style.get("neck_front_m", 0.0), neck[2] + 0.005, style.get("opening_m", 0.0))
    return np.array(
        [*shoulder, *upper / lengths[0], *fore / lengths[1], lengths[0], neck[1], sleeve, end, scale_m, *throat]
    )


def leg_lengths(figure: Figure) -> np.ndarray:
    """(4,) where the pattern of trousers sits: hip joint x, crotch height, knee height, side seam z."""
    hip = figure.at("upperleg01.L")
    return np.array([hip[0], figure.crotch_m, figure.at("lowerleg01.L")[1], hip[2] - 0.005])


def hoodie(figure: Figure, style: Style, under: Hull | None = None) -> list[Layer]:
    from pipelines.studio.jackets import hood

    (top,) = shirt(figure, style, under)
    return [top, hood(figure, top)]


def collared(figure: Figure, style: Style, under: Hull | None = None) -> list[Layer]:
    """A shirt or jacket with a turned-down collar of collar_m."""
    from pipelines.studio.jackets import collar

    (top,) = shirt(figure, style, under)
    return [top, collar(figure, top, style)]


def tailor(cut: str, figure: Figure, style: Style, under: Hull | None) -> list[Layer]:
    """The layers of a garment, by the name of its cut."""
    from pipelines.studio.skirts import dress, skirt

    tailors = {"shirt": shirt, "hoodie": hoodie, "collared": collared, "trousers": trousers, "skirt": skirt,
               "dress": dress}
    return tailors[cut](figure, style, under)
