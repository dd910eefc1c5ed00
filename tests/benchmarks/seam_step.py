"""Are the seams of the UV atlas visible in a rendered avatar?

    python tests/benchmarks/seam_step.py WORKSPACE ada ben --avatar main --frames 24

Along every edge that two faces share, neighbouring pixels lie on the two faces. Where the edge is a seam of the atlas
the two are painted from texels far apart; inside a chart from texels side by side. For both kinds of edges, over many
frames, it prints

step     mean absolute difference of the two pixels, in levels of 255, all channels
kink     what of it is not the slope on either side: |step - mean of the steps before and after|
ratio    seam over inside; 1 = a seam cannot be told from any other edge

for the captured frame, for the rendering, and for a rendering whose texture is tied first (its gutters filled from
across the seams, `pipelines/body/seams.py`). Clothes really end at some seams (waist, wrists), so what counts is the
rendering's ratio over the captured one. `within` are seams inside one region (front and back of the trunk), where no
garment ends. The neural texture's own step is measured where no network smooths it: |difference| of the features half
a texel beside either side of a seam, against two points as far apart inside a chart.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipelines.body.model import Body, load_body
from pipelines.body.seams import across_seams, cut_edges, tied
from pipelines.body.surface import face_neighbours
from pipelines.core.mapcache import read_maps
from pipelines.core.records import SurfaceMaps
from pipelines.core.storage import read_json
from pipelines.core.workspace import Workspace, newest_version
from pipelines.media.images import read_alpha
from pipelines.media.recording import Recording

KINDS = ("inside", "seam", "within")
LEAST_FACING = 0.35                     # of the normal towards the camera: at grazing angles neighbours lie far apart
SOLID = 0.99                            # alpha from which a pixel is the person alone


@dataclass
class Tally:
    """Steps seen at each kind of edge."""

    step: dict[str, list[np.ndarray]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    kink: dict[str, list[np.ndarray]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    def add(self, image: np.ndarray, pairs: Mapping[str, np.ndarray]) -> None:
        """image (H, W, 3) in 0..255; pairs: kind -> (N, 4, 2) row and column of four pixels across an edge."""
        for kind, four in pairs.items():
            colours = image[four[..., 0], four[..., 1]].astype(np.float64)       # (N, 4, 3)
            steps = np.diff(colours, axis=1)
            self.step[kind].append(np.abs(steps[:, 1]).mean(axis=1))
            self.kink[kind].append(np.abs(steps[:, 1] - (steps[:, 0] + steps[:, 2]) / 2).mean(axis=1))

    def figures(self) -> dict[str, tuple[int, float, float]]:
        """kind -> number of pixel pairs, mean step, mean kink"""
        steps = {kind: np.concatenate(self.step[kind]) for kind in KINDS}
        kinks = {kind: np.concatenate(self.kink[kind]) for kind in KINDS}
        return {kind: (len(steps[kind]), float(steps[kind].mean()), float(kinks[kind].mean())) for kind in KINDS}


def edge_kinds(body: Body) -> dict[tuple[int, int], str]:
    """(face, face) of every edge, both ways round -> its kind."""
    cut, neighbours = cut_edges(body), face_neighbours(body.faces)
    kinds = {}
    for face in range(len(body.faces)):
        for k in range(3):
            other = int(neighbours[face, k])
            same_region = body.face_region[face] == body.face_region[other]
            kinds[face, other] = "inside" if not cut[face, k] else "within" if same_region else "seam"
    return kinds


def pairs_across_edges(maps: SurfaceMaps, alpha: np.ndarray, kinds: Mapping[tuple[int, int], str]
                       ) -> dict[str, np.ndarray]:
    """kind -> (N, 4, 2) pixels of the maps' box, four in a row or column, the edge between the middle two."""
    good = maps.inside & (maps.normal[..., 2] < -LEAST_FACING) & (alpha > SOLID)
    found: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
    for axis in (0, 1):
        face = np.moveaxis(maps.face_index, axis, 0)
        solid = np.moveaxis(good, axis, 0)
        # four pixels in a line of which the outer two lie on the surface as well, not across an outline
        rows, columns = np.nonzero(solid[:-3] & solid[1:-2] & solid[2:-1] & solid[3:] & (face[1:-2] != face[2:-1]))
        for row, column in zip(rows.tolist(), columns.tolist()):
            kind = kinds.get((int(face[row + 1, column]), int(face[row + 2, column])))
            if kind:
                line = np.stack([np.arange(row, row + 4), np.full(4, column)], axis=1)
                found[kind].append(line if axis == 0 else line[:, ::-1])
    return {kind: np.array(found[kind], int).reshape(-1, 4, 2) for kind in KINDS}


def texture_steps(body: Body, texture: np.ndarray) -> dict[str, float]:
    """Mean |feature difference| half a texel to either side of edges, of each kind.

    texture  (C, S, S)
    """
    size = texture.shape[-1]
    neighbours, cut = face_neighbours(body.faces), cut_edges(body)
    steps: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for face in range(len(body.faces)):
        for k in range(3):
            other = int(neighbours[face, k])
            if other < face:
                continue
            back = int(np.flatnonzero(neighbours[other] == face)[0])
            here, there = (_beside_edge(body, f, side, size) for f, side in ((face, k), (other, back)))
            same = body.face_region[face] == body.face_region[other]
            kind = "inside" if not cut[face, k] else "within" if same else "seam"
            difference = _bilinear(texture, here) - _bilinear(texture, there[::-1])
            steps[kind].append(float(np.abs(difference).mean()))
    return {kind: float(np.mean(values)) for kind, values in steps.items()}


def _beside_edge(body: Body, face: int, side: int, size: int) -> np.ndarray:
    """(3, 2) texel places half a texel inwards of an edge's quarter, half and three quarter points."""
    corners = body.uvs[body.face_uvs[face]].astype(np.float64) * size
    a, b, c = corners[side], corners[(side + 1) % 3], corners[(side + 2) % 3]
    along = (b - a) / np.linalg.norm(b - a)
    inwards = (c - a) - ((c - a) @ along) * along
    shares = np.array([0.25, 0.5, 0.75])[:, None]
    return a + shares * (b - a) + 0.5 * inwards / np.linalg.norm(inwards)


def _bilinear(texture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(C, N) of a texture (C, S, S) at texel places (N, 2) from its corner, first texel's centre at 0.5."""
    x, y = np.clip(places.T - 0.5, 0, texture.shape[-1] - 1.001)
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    u, v = x - column, y - row
    return (texture[:, row, column] * (1 - u) * (1 - v) + texture[:, row, column + 1] * u * (1 - v)
            + texture[:, row + 1, column] * (1 - u) * v + texture[:, row + 1, column + 1] * u * v)


def measure(workspace: Workspace, avatar_name: str, person: str, count: int) -> dict[str, Tally]:
    """Steps of the captured frames and of the avatar's replay of them, over held-out frames."""
    import torch

    from pipelines.renderers.avatar import load_avatar, render_person

    train = newest_version(workspace.avatar_place(avatar_name, "train"))
    newest = {name: newest_version(workspace.person_place(person, name)) for name in ("capture", "raster", "matte")}
    if train is None or None in newest.values():
        raise SystemExit(f"{workspace.root} has no trained avatar {avatar_name} of {person}")
    folders = {name: version.folder for name, version in newest.items() if version}
    avatar, recording = load_avatar(train.folder, "cpu"), Recording(folders["capture"])
    held_out = read_json(train.folder / "split.json")["held_out"][person]
    kinds = edge_kinds(load_body())
    texture = avatar.textures[person]
    textures = {"rendered": texture,
                "tied": torch.from_numpy(tied(texture.numpy(), across_seams(load_body(), texture.shape[-1])))}
    tallies = {name: Tally() for name in ("captured", *textures)}
    for n in np.unique(np.linspace(0, len(held_out) - 1, min(count, len(held_out))).round().astype(int)):
        index = held_out[n]
        maps = read_maps(folders["raster"] / "maps" / f"{index:05d}.maps")
        x0, y0, x1, y1 = maps.box
        alpha = read_alpha(folders["matte"] / "alpha" / f"{index:05d}.png")[y0:y1, x0:x1]
        renderings = {name: render_person(avatar, texture, maps) for name, texture in textures.items()}
        solid = np.minimum(alpha, renderings["rendered"][1])
        pairs = pairs_across_edges(maps, solid, kinds)
        tallies["captured"].add(recording.image(index)[y0:y1, x0:x1], pairs)
        for name, (rgb, _) in renderings.items():
            tallies[name].add(255 * rgb, pairs)
    return tallies


def table(person: str, tallies: Mapping[str, Tally]) -> list[str]:
    """Lines to print of one person."""
    lines = [f"{person:10}{'pixels':>9}{'step':>8}{'ratio':>8}{'kink':>8}{'ratio':>8}"]
    for name, tally in tallies.items():
        figures = tally.figures()
        _, step_inside, kink_inside = figures["inside"]
        for kind, (pixels, step, kink) in figures.items():
            lines.append(f"{name + ' ' + kind:18}{pixels:>9}{step:>8.2f}{step / step_inside:>8.2f}{kink:>8.2f}"
                         f"{kink / kink_inside:>8.2f}")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("people", nargs="+")
    parser.add_argument("--avatar", default="main")
    parser.add_argument("--frames", type=int, default=24)
    options = parser.parse_args(arguments)
    from safetensors.numpy import load_file

    workspace = Workspace(options.workspace)
    for person in options.people:
        sys.stdout.write("\n".join(table(person, measure(workspace, options.avatar, person, options.frames))) + "\n")
        train = newest_version(workspace.avatar_place(options.avatar, "train"))
        assert train is not None
        texture = load_file(train.folder / "textures.safetensors")[person]
        for name, own in (("texture", texture), ("tied", tied(texture, across_seams(load_body(), texture.shape[-1])))):
            steps = texture_steps(load_body(), own)
            told = ", ".join(f"{kind} {step:.3f} ({step / steps['inside']:.2f})" for kind, step in steps.items())
            sys.stdout.write(f"{name:10}{told}\n")


if __name__ == "__main__":
    main()
