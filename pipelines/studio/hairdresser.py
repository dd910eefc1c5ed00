"""Hair as real geometry: a cap over the scalp and tapered ribbons that fall, part and end raggedly (build time)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.body.skeleton import joint_index, subtree
from pipelines.studio import materials
from pipelines.studio.meshwork import Hull, Layer, clip, normals_of, subdivide, submesh, value_noise
from pipelines.studio.wardrobe import Figure

# Hairline: angle around the head (0 = front, pi = back) against height above the eyes in metres.
HAIRLINE = (
    (0.0, 0.45, 0.75, 1.05, 1.32, 1.55, 1.85, 2.2, 2.7, np.pi),
    (0.060, 0.060, 0.052, 0.026, -0.012, 0.028, 0.010, -0.055, -0.085, -0.090),
)


@dataclass(frozen=True, eq=False)
class Head:
    """Where things are on a head at rest."""

    figure: Figure
    eyes: np.ndarray  # (2, 3) eye centres, left and right
    ear: np.ndarray  # (V,) 0..1 how much a vertex belongs to an ear
    lips: np.ndarray  # (V,) 0..1

    @property
    def centre(self) -> np.ndarray:
        """Middle of the skull: between the eyes, 3 cm up and 8 cm back."""
        return self.eyes.mean(0) + np.array([0.0, 0.03, -0.080])

    def above_hairline(self, points: np.ndarray) -> np.ndarray:
        """(P,) metres above the hairline; negative on the face and neck."""
        angle = np.arctan2(np.abs(points[:, 0]), points[:, 2] - self.centre[2])
        ragged = 0.006 * value_noise(points * 55.0, 61)
        return points[:, 1] - self.eyes[:, 1].mean() - np.interp(angle, *HAIRLINE) + ragged


def cap(head: Head, colour: np.ndarray, gap_m: float, top_m: float) -> Layer:
    """The scalp, lifted by `gap_m` at the hairline and `top_m` at the crown, clipped at the hairline."""
    figure = head.figure
    on_head = (figure.weights[:, subtree("head")].sum(1) > 0.5) & (head.ear < 0.3)
    lift = head.above_hairline(figure.verts)
    keep = (on_head & (lift > -0.03))[figure.faces].all(1)
    normals = normals_of(figure.verts, figure.faces)
    faces, verts, out, height, weights = submesh(keep, figure.faces, figure.verts, normals, lift, figure.weights)
    faces, verts, out, height, weights = subdivide(faces, verts, out, height, weights)
    height = head.above_hairline(verts)
    thick = gap_m + (top_m - gap_m) * np.clip(height / 0.10, 0, 1) ** 0.8
    thick = np.where(height > 0, thick, -0.004) * (1 + 0.25 * value_noise(verts * 60.0, 62))
    verts = verts + out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9) * thick[:, None]
    faces, verts, weights, height = clip(faces, height + 0.004, verts, weights, height)
    streak = value_noise(verts * [240.0, 40.0, 60.0], 63)
    tint = colour * (0.62 + 0.16 * streak[:, None])
    return Layer(verts, faces, weights, materials.HAIR, np.clip(tint, 0, 1))


def scatter(
    faces: np.ndarray, verts: np.ndarray, weight: np.ndarray, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """`count` points on a mesh, by area times the faces' weight: face rows and barycentrics."""
    random = np.random.default_rng(seed)
    area = np.linalg.norm(
        np.cross(verts[faces[:, 1]] - verts[faces[:, 0]], verts[faces[:, 2]] - verts[faces[:, 0]]), axis=1
    )
    share = area * weight
    row = random.choice(len(faces), count, p=share / share.sum())
    bary = random.dirichlet((1.0, 1.0, 1.0), count)
    return row, bary


def ribbons(paths: np.ndarray, outward: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat tapered bands along strands.

    paths    (N, S, 3) points from root to tip
    outward  (N, S, 3) which way each point's band looks
    width    (N, S) metres
    returns  verts (N*S*2, 3), faces
    """
    count, steps = paths.shape[:2]
    along = np.gradient(paths, axis=1)
    across = np.cross(along, outward)
    across /= np.maximum(np.linalg.norm(across, axis=2, keepdims=True), 1e-9)
    verts = np.stack([paths - across * width[..., None] / 2, paths + across * width[..., None] / 2], 2).reshape(-1, 3)
    base = (np.arange(count)[:, None] * steps + np.arange(steps - 1))[..., None] * 2
    quad = np.concatenate([base, base + 1, base + 3, base, base + 3, base + 2], -1).reshape(-1, 3)
    return verts, quad


def strand_layer(
    head: Head,
    paths: np.ndarray,
    outward: np.ndarray,
    width: np.ndarray,
    colour: np.ndarray,
    vary: float,
    follow: np.ndarray,
    seed: int,
) -> Layer:
    """Ribbons with a colour of their own each, darker at the root; `follow` (N*S, J) weights per point."""
    count, steps = paths.shape[:2]
    random = np.random.default_rng(seed)
    verts, faces = ribbons(paths, outward, width)
    shade = 1 + vary * random.normal(size=(count, 1, 1)) + 0.0 * outward[:, :, :1]
    warm = 1 + 0.06 * random.normal(size=(count, 1, 3))
    root = 0.70 + 0.30 * np.linspace(0, 1, steps)[None, :, None] ** 0.6
    tint = np.clip(colour * shade * warm * root, 0.01, 1)
    return Layer(verts, faces, np.repeat(follow, 2, axis=0), materials.HAIR, np.repeat(tint.reshape(-1, 3), 2, axis=0))


def long_hair(
    head: Head, clothed: Hull, colour: np.ndarray, count: int = 520, length_m: float = 0.44, steps: int = 15
) -> Layer:
    """Shoulder-long hair, parted a little to the left, combed behind and in front of the shoulders."""
    figure, random = head.figure, np.random.default_rng(7)
    ok = (figure.weights[:, subtree("head")].sum(1) > 0.5) & (head.ear < 0.3)
    lift = head.above_hairline(figure.verts)
    weight = np.where(ok[figure.faces].all(1) & (lift[figure.faces].min(1) > 0.004), 1.0, 0.0)
    row, bary = scatter(figure.faces, figure.verts, weight, count, 8)
    normals = normals_of(figure.verts, figure.faces)
    root = np.einsum("pk,pkc->pc", bary, figure.verts[figure.faces[row]])
    out = np.einsum("pk,pkc->pc", bary, normals[figure.faces[row]])
    eye, centre = head.eyes.mean(0), head.centre
    level = random.uniform(0.006, 0.026, count)
    part = 0.018
    side = np.where(root[:, 0] > part, 1.0, -1.0)
    back = np.clip((centre[2] + 0.03 - root[:, 2]) / 0.10, 0, 1)
    flow = np.stack([side * (1.0 - back), -0.25 - 0.9 * back, -0.25 - 0.2 * back], 1)
    flow -= out * np.einsum("pc,pc->p", flow, out)[:, None]
    heading = flow / np.maximum(np.linalg.norm(flow, axis=1, keepdims=True), 1e-9)
    reach = length_m * random.uniform(0.80, 1.05, count)
    below_root = np.clip((root[:, 1] - (eye[1] - 0.09)) / 0.2, 0.25, 1.0)
    step = (reach * (0.55 + 0.45 * below_root) / (steps - 1))[:, None]
    points, outs = [root + out * 0.4 * level[:, None]], [out]
    here = points[0]
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
    width = np.interp(np.linspace(0, 1, steps), [0, 0.15, 0.6, 1], [0.008, 0.017, 0.015, 0.002])[None] * random.uniform(
        0.7, 1.2, (count, 1)
    )
    return strand_layer(
        head, paths, outward, width, colour, 0.16, hanging_weights(head, clothed, paths.reshape(-1, 3)), 9
    )


def hanging_weights(head: Head, clothed: Hull, points: np.ndarray) -> np.ndarray:
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


def short_hair(head: Head, colour: np.ndarray, count: int = 1900, steps: int = 4) -> Layer:
    """Short hair: longer and combed up and back on top, cropped at the sides and nape."""
    figure, random = head.figure, np.random.default_rng(17)
    ok = (figure.weights[:, subtree("head")].sum(1) > 0.5) & (head.ear < 0.3)
    lift = head.above_hairline(figure.verts)
    weight = np.where(ok[figure.faces].all(1), np.clip(lift[figure.faces].min(1) / 0.01, 0, 1), 0)
    row, bary = scatter(figure.faces, figure.verts, weight, count, 18)
    normals = normals_of(figure.verts, figure.faces)
    root = np.einsum("pk,pkc->pc", bary, figure.verts[figure.faces[row]])
    out = np.einsum("pk,pkc->pc", bary, normals[figure.faces[row]])
    top = np.clip((root[:, 1] - head.eyes[:, 1].mean() - 0.055) / 0.04, 0, 1)
    length = (0.014 + 0.034 * top) * random.uniform(0.7, 1.25, count)
    lift_at = np.clip(head.above_hairline(root), 0, None)
    comb = np.stack([0.45 + 0 * top, -0.7 * (1 - top), -0.8 * np.ones(count)], 1)
    comb += random.normal(size=(count, 3)) * 0.22
    comb -= out * np.einsum("pc,pc->p", comb, out)[:, None]
    root = root + out * (0.003 + 0.009 * np.clip(lift_at / 0.10, 0, 1) ** 0.8)[:, None]
    points, outs, here, heading = [root - out * 0.004], [out], root, out * (0.15 + 0.45 * top[:, None]) + comb
    for _ in range(1, steps):
        heading = heading / np.linalg.norm(heading, axis=1, keepdims=True) * 0.6 + comb * 0.4
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        here = here + heading * (length / (steps - 1))[:, None] + out * (0.0004 + 0.0012 * top[:, None])
        points.append(here)
        outs.append(out)
    paths, outward = np.stack(points, 1), np.stack(outs, 1)
    width = np.interp(np.linspace(0, 1, steps), [0, 0.4, 1], [0.007, 0.008, 0.0015])[None] * random.uniform(
        0.7, 1.2, (count, 1)
    )
    own = np.zeros((count * steps, figure.weights.shape[1]))
    own[:, joint_index("head")] = 1.0
    return strand_layer(head, paths, outward, width, colour, 0.18, own, 19)


def beard_density(head: Head, points: np.ndarray, lips: np.ndarray) -> np.ndarray:
    """(P,) 0..1 where a full, short beard and a moustache grow."""
    eye = head.eyes.mean(0)
    mouth = head.figure.verts[head.lips > 0.5].mean(0)
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    forward = (z - (head.centre[2] + 0.005)) / 0.02
    cheek = mouth[1] + 0.004 + 0.55 * np.clip(x - 0.030, 0, None) + 0.3 * np.clip(x - 0.055, 0, None)
    lower = np.clip((cheek - y) / 0.008, 0, 1) * np.clip((y - (mouth[1] - 0.072)) / 0.012, 0, 1)
    crest = mouth[1] + 0.0175 - 0.012 * np.clip(x / 0.034, 0, 1.2) ** 2
    moustache = (
        np.clip((0.036 - x) / 0.010, 0, 1)
        * np.clip((crest - y) / 0.004, 0, 1)
        * np.clip((y - mouth[1] + 0.006) / 0.004, 0, 1)
    )
    side = (
        np.clip((x - 0.056) / 0.008, 0, 1)
        * np.clip((eye[1] + 0.012 - y) / 0.02, 0, 1)
        * np.clip((y - mouth[1] + 0.02) / 0.02, 0, 1)
    )
    side = side * np.clip(1 - (z - head.centre[2] - 0.036 + 0.25 * (y - mouth[1])) / 0.014, 0, 1) * 0.8
    spread = np.maximum(np.maximum(lower, moustache), side)
    return spread * np.clip(forward, 0, 1) * np.clip(1 - 1.6 * lips, 0, 1)


def beard(head: Head, colour: np.ndarray, count: int = 1700, steps: int = 3) -> Layer:
    figure, random = head.figure, np.random.default_rng(27)
    on_head = figure.share("neck03") > 0.5
    density = beard_density(head, figure.verts, head.lips) * on_head * (head.ear < 0.3)
    thick = density[figure.faces].min(1)
    row, bary = scatter(figure.faces, figure.verts, np.where(thick > 0.2, thick, 0.0), count, 28)
    normals = normals_of(figure.verts, figure.faces)
    root = np.einsum("pk,pkc->pc", bary, figure.verts[figure.faces[row]])
    out = np.einsum("pk,pkc->pc", bary, normals[figure.faces[row]])
    heading = out * 0.7 + np.array([0, -0.7, 0.1]) + random.normal(size=(count, 3)) * 0.2
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    length = 0.010 * random.uniform(0.6, 1.2, (count, 1))
    grow = np.linspace(0, 1, steps)
    paths = root[:, None] + heading[:, None] * (length[:, None] * grow[None, :, None])
    width = np.interp(grow, [0, 0.5, 1], [0.0032, 0.003, 0.0008])[None] * np.ones((count, 1))
    own = np.repeat(np.einsum("pk,pkj->pj", bary, figure.weights[figure.faces[row]]), steps, axis=0)
    return strand_layer(head, paths, np.repeat(out[:, None], steps, 1), width, colour, 0.18, own, 29)
