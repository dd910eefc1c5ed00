"""Ways to wear hair: hanging, short, curled, tied back, shaved (build time)."""

from __future__ import annotations

import numpy as np

from pipelines.body.skeleton import joint_index, subtree
from pipelines.studio import materials
from pipelines.studio.beards import beard
from pipelines.studio.hairdresser import Head, cap, own_weights, roots, strand_layer
from pipelines.studio.identities import Hair
from pipelines.studio.jackets import tube_faces
from pipelines.studio.meshwork import Hull, Layer, value_noise


def style_hair(head: Head, clothed: Hull, hair: Hair) -> list[Layer]:
    """All hair of a person, by the name of the style; `clothed` is what it falls on."""
    base = np.array(hair.colour) * (1 - 0.5 * hair.grey) + 0.5 * hair.grey * 0.6
    thin, thick = (0.004, 0.014), (0.010, 0.040)
    styles = {
        "shaved": lambda: [],
        "short": lambda: [cap(head, base, *thin), short_hair(head, hair, forward=0.0)],
        "fringe": lambda: [cap(head, base, *thin), short_hair(head, hair, forward=1.0)],
        "curly": lambda: [cap(head, base, 0.005, 0.020), curls(head, hair, 0.004, 0.020, 0.0075)],
        "afro": lambda: [cap(head, base, *thick), curls(head, hair, *thick, 0.0085, count=1900)],
        "long": lambda: [cap(head, base, *thin), hanging_hair(head, clothed, hair, 0.44)],
        "bob": lambda: [cap(head, base, *thin), hanging_hair(head, clothed, hair, 0.150, ragged=0.08)],
        "ponytail": lambda: [cap(head, base, 0.003, 0.007), *ponytail(head, clothed, hair)],
    }
    return styles[hair.style]() + ([beard(head, hair)] if hair.beard_m else [])


def hanging_hair(
    head: Head, clothed: Hull, hair: Hair, length_m: float, ragged: float = 0.25, count: int = 700, steps: int = 13
) -> Layer:
    """Hair that hangs, parted a little to the left, combed behind and in front of the shoulders."""
    figure, random = head.figure, np.random.default_rng(7)
    root, out = roots(head, count, 8)
    eye, centre = head.eyes.mean(0), head.centre
    level = random.uniform(0.006, 0.024, count) * np.clip(head.above_hairline(root) / 0.030, 0.3, 1)
    part = 0.018
    side = np.where(root[:, 0] > part, 1.0, -1.0)
    back = np.clip((centre[2] + 0.03 - root[:, 2]) / 0.10, 0, 1)
    flow = np.stack([side * (1.0 - back), -0.25 - 0.9 * back, -0.25 - 0.2 * back], 1)
    flow -= out * np.einsum("pc,pc->p", flow, out)[:, None]
    heading = flow / np.maximum(np.linalg.norm(flow, axis=1, keepdims=True), 1e-9)
    reach = length_m * random.uniform(1.05 - ragged, 1.05, count)
    below_root = np.clip((root[:, 1] - (eye[1] - 0.09)) / 0.2, 0.25, 1.0)
    step = (reach * (0.55 + 0.45 * below_root) / (steps - 1))[:, None]
    points, outs = [root + out * 0.4 * level[:, None]], [out]
    here: np.ndarray = points[0]
    skull = centre + np.array([0, -0.01, 0])
    curl = random.uniform(0, 2 * np.pi, count)
    for k in range(1, steps):
        wave = 0.10 * np.sin(curl + k * 0.9)
        low = here[:, 1] < eye[1] - 0.09
        ridge = np.where(here[:, 2] > figure.at("neck01")[2] + 0.01, 0.35, -0.35) * low
        fall = np.stack([(1 - back) * side * 0.05 + 0.08 * wave, -np.ones(count), -0.10 * ~low + ridge + wave * 0.5], 1)
        heading = heading * 0.62 + fall * 0.38
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        here = here + heading * step
        here = clothed.push_out(here, level)
        # what would lie across a shoulder falls before or behind it
        wide = 0.088 + 0.02 * np.clip((centre[2] - here[:, 2]) / 0.05, 0, 1)
        drawn = np.clip(np.abs(here[:, 0]) - wide, 0, None) * np.clip((eye[1] - 0.07 - here[:, 1]) / 0.05, 0, 1)
        here[:, 0] -= np.sign(here[:, 0]) * drawn
        radial = here - skull
        outward = radial / np.maximum(np.linalg.norm(radial, axis=1, keepdims=True), 1e-9)
        # hair keeps off the face: in front of the ears it hangs beside the cheeks
        forward = np.clip((here[:, 2] - (centre[2] + 0.035)) / 0.03, 0, 1) * (here[:, 1] < eye[1] + 0.05)
        beside = np.where(np.abs(here[:, 0]) < 0.072, side * 0.072, here[:, 0])
        here[:, 0] = here[:, 0] * (1 - forward) + beside * forward
        # and is tucked back to the temples instead of falling before the face
        ahead_of_ear = np.clip(here[:, 2] - (centre[2] + 0.050), 0, None)
        here[:, 2] -= (
            0.45 * ahead_of_ear * np.clip((eye[1] + 0.045 - here[:, 1]) / 0.03, 0, 1) * (here[:, 1] > eye[1] - 0.13)
        )
        low = here[:, 1] < eye[1] - 0.10
        outward[low] = np.stack([here[low, 0] * 3, np.zeros(low.sum()), here[low, 2] - figure.at("neck01")[2]], 1)
        outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
        points.append(here.copy())
        outs.append(outward)
    paths, outward = np.stack(points, 1), np.stack(outs, 1)
    width = np.interp(np.linspace(0, 1, steps), [0, 0.15, 0.6, 1], [0.006, 0.013, 0.011, 0.002])[None] * random.uniform(
        0.7, 1.2, (count, 1)
    )
    return strand_layer(paths, outward, width, hair, hanging_weights(head, paths.reshape(-1, 3)), 9)


def hanging_weights(head: Head, points: np.ndarray) -> np.ndarray:
    """(P, J): hair follows the head, and below the chin more and more the trunk it lies on."""
    figure = head.figure
    own = np.zeros(figure.weights.shape[1])
    own[joint_index("head")] = 1.0
    trunk = figure.weights.copy()
    arms = np.any([subtree(f"upperarm01.{s}") for s in "LR"], axis=0)
    trunk[:, joint_index("spine01")] += trunk[:, arms].sum(1)
    trunk[:, arms] = 0
    from scipy.spatial import cKDTree

    _, near = cKDTree(figure.verts).query(points, k=12)
    trunk = trunk[near].mean(1)
    chin = head.eyes[:, 1].mean() - 0.11
    low = np.clip((chin - points[:, 1]) / 0.14, 0, 1)[:, None]
    low = low * low * (3 - 2 * low)
    return own * (1 - low) + trunk * low


def short_hair(head: Head, hair: Hair, forward: float, count: int = 1900, steps: int = 4) -> Layer:
    """Short hair, cropped at the sides and nape; on top combed up and back (forward 0) or down over the brow (1)."""
    random = np.random.default_rng(17)
    root, out = roots(head, count, 18)
    top = np.clip((root[:, 1] - head.eyes[:, 1].mean() - 0.055) / 0.04, 0, 1)
    ahead = np.clip((root[:, 2] - head.centre[2] + 0.04) / 0.06, 0, 1) * forward
    length = (0.014 + (0.030 + 0.020 * ahead) * top) * random.uniform(0.75, 1.2, count)
    lift = np.clip(head.above_hairline(root), 0, None)
    turning = np.where(root[:, 0] > 0.01, 1, -1) * (1 - np.abs(2 * ahead - 1)) * forward
    swept = np.stack([0.45 - 0.25 * ahead + 1.1 * turning, -0.7 * (1 - top) - 0.35 * ahead, -0.8 + 1.9 * ahead], 1)
    comb = swept + random.normal(size=(count, 3)) * (0.20 + 0.08 * forward)
    comb = comb - out * np.einsum("pc,pc->p", comb, out)[:, None]
    comb[:, 2] += 0.6 * forward * (np.linalg.norm(comb, axis=1) < 0.5)  # at the crown all ways are one
    root = root + out * (0.003 + 0.009 * np.clip(lift / 0.10, 0, 1) ** 0.8)[:, None]
    rise = 0.10 + (0.32 - 0.22 * forward) * top[:, None]
    points, outs, here, heading = [root - out * 0.004], [out], root, out * rise + comb
    for _ in range(1, steps):
        heading = heading / np.linalg.norm(heading, axis=1, keepdims=True) * 0.6 + comb * 0.4
        heading[:, 1] -= 0.35 * ahead * top
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        here = here + heading * (length / (steps - 1))[:, None] + out * (0.0004 + 0.0010 * top[:, None])
        high = np.einsum("pc,pc->p", here - root, out) - 0.016 * (1 - 0.7 * forward)  # none stands on end
        here = here - out * np.clip(high, 0, None)[:, None]
        points.append(here)
        outs.append(out)
    width = np.interp(np.linspace(0, 1, steps), [0, 0.4, 1], [0.006, 0.0065, 0.0012])[None] * random.uniform(
        0.7, 1.2, (count, 1)
    )
    return strand_layer(np.stack(points, 1), np.stack(outs, 1), width, hair, own_weights(head, count * steps), 19, 0.14)


def curls(
    head: Head, hair: Hair, edge_m: float, top_m: float, radius_m: float, count: int = 1500, steps: int = 6
) -> Layer:
    """Small arcs that stand in all directions on a cap of the same thickness."""
    random = np.random.default_rng(37)
    root, out = roots(head, count, 38, margin_m=0.002)
    lift = np.clip(head.above_hairline(root), 0, None)
    thick = edge_m + (top_m - edge_m) * np.clip(lift / 0.10, 0, 1) ** 0.8
    middle = root + out * (thick * random.uniform(0.75, 1.10, count))[:, None]
    aside = np.cross(out, random.normal(size=(count, 3)))
    aside /= np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-9)
    size = radius_m * random.uniform(0.6, 1.3, (count, 1))
    axis = np.cross(out, aside)
    turn = np.linspace(-0.6, 3.9, steps)
    start = random.uniform(-0.8, 0.8, count)
    points, outs = [], []
    for k, angle in enumerate(turn):
        ray = np.cos(angle + start)[:, None] * aside + np.sin(angle + start)[:, None] * out
        points.append(middle + ray * size + axis * (size * (k / steps - 0.5)))
        outs.append(axis * 0.7 + ray * 0.7)
    width = np.interp(np.linspace(0, 1, steps), [0, 0.5, 1], [0.0035, 0.0045, 0.0012])[None] * np.ones((count, 1))
    return strand_layer(np.stack(points, 1), np.stack(outs, 1), width, hair, own_weights(head, count * steps), 39, 0.2)


def ponytail(head: Head, clothed: Hull, hair: Hair, count: int = 560, steps: int = 9) -> list[Layer]:
    """Hair combed tight to a tie behind the crown, from which it falls."""
    random = np.random.default_rng(47)
    root, _ = roots(head, count, 48)
    skull = head.centre + np.array([0, -0.01, 0])
    tie = head.centre + np.array([0.0, 0.040, -0.122])
    reach = np.linspace(0, 1, steps)
    start, end = root - skull, tie - skull
    paths = []
    for t in reach:
        ray = start * (1 - t) + end * t
        size = np.linalg.norm(start, axis=1) * (1 - t) + np.linalg.norm(end) * t
        ray = ray / np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), 1e-9) * size[:, None]
        level = 0.002 + 0.008 * np.sin(np.pi * min(t * 1.2, 1.0) / 2) * random.uniform(0.5, 1.1, count)
        gather = max(0.0, (t - 0.8) / 0.2)
        place = clothed.push_out(skull + ray, level * (1 - gather))
        paths.append(place * (1 - gather) + (tie + 0.008 * random.normal(size=(count, 3))) * gather)
    flat = np.stack(paths, 1)
    outward = flat - skull
    width = np.interp(reach, [0, 0.2, 0.8, 1], [0.004, 0.011, 0.009, 0.003])[None] * np.ones((count, 1))
    combed = strand_layer(flat, outward, width, hair, own_weights(head, count * steps), 49, 0.09)
    return [combed, tail(head, clothed, hair, tie), hair_tie(head, tie)]


def tail(head: Head, clothed: Hull, hair: Hair, tie: np.ndarray, count: int = 170, steps: int = 13) -> Layer:
    """The loose end of a ponytail."""
    random = np.random.default_rng(57)
    spread = np.clip(random.normal(size=(count, 3)), -1.5, 1.5) * [0.011, 0.008, 0.008]
    length = 0.30 * random.uniform(0.75, 1.05, count)
    here = np.tile(tie, (count, 1)) + spread * 0.4
    heading = np.array([0.0, 0.35, -1.0]) + spread * 25
    points, outs = [here], [spread]
    for k in range(1, steps):
        heading = heading * 0.66 + np.array([0, -1.0, 0.02]) * 0.34
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        bulge = np.sin(np.pi * min(1.0, k / (0.75 * steps))) * 1.6 + 0.35
        here = here + heading * (length / (steps - 1))[:, None]
        here = clothed.push_out(here, 0.008)
        points.append(here + spread * bulge)
        outs.append(spread - np.array([0, 0, 0.004]))
    width = np.interp(np.linspace(0, 1, steps), [0, 0.2, 0.7, 1], [0.006, 0.012, 0.010, 0.002])[None]
    paths = np.stack(points, 1)
    weights = hanging_weights(head, paths.reshape(-1, 3))
    return strand_layer(paths, np.stack(outs, 1), width * np.ones((count, 1)), hair, weights, 59, 0.10)


def hair_tie(head: Head, tie: np.ndarray) -> Layer:
    turn, ring = np.meshgrid(np.linspace(0, 2 * np.pi, 16), np.linspace(0, 2 * np.pi, 24), indexing="xy")
    wide = 0.015 + 0.006 * np.cos(turn)
    verts = np.stack([wide * np.cos(ring), wide * np.sin(ring), 0.007 * np.sin(turn)], -1).reshape(-1, 3)
    lean = np.array([[1, 0, 0], [0, 0.94, 0.34], [0, -0.34, 0.94]])
    verts = verts @ lean.T + tie + np.array([0, 0.002, -0.006])
    tint = np.tile([0.10, 0.10, 0.12], (len(verts), 1)) * (1 + 0.2 * value_noise(verts * 300, 65))[:, None]
    return Layer(verts, tube_faces(24, 16, closed=False), own_weights(head, len(verts)), materials.PLAIN, tint)
