"""The UV atlas in figures, and in a picture to look at.

    python tests/benchmarks/atlas_figures.py --picture atlas.png

Prints how many charts there are, how much of the square they cover, how they stretch (singular values of the map from
surface to atlas over each chart's own scale; the mean body, and the worst of shapes two standard deviations from it),
how many texels each region gets, and how close charts come: from that follow the smallest texture that a bilinear
sample never mixes, and how much noise on the sampling grid the atlas bears.

The picture shows, from left to right: regions, with chart outlines; stretch, blue where the surface is shrunk and red
where it is enlarged; the body from the front and from behind, painted with the regions and with a checkerboard of
eight texels a square.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipelines.body.model import Body, load_body, rest_body
from pipelines.body.quality import STRETCH, atlas_quality, face_stretches
from pipelines.body.surface import chart_map, face_map, region_map
from pipelines.core.records import Camera
from pipelines.media.images import write_image
from pipelines.media.sheets import label, tile

HEIGHT = 1024
DRAWN = 1024                            # texels a side in the picture


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, help="where to write the picture (PNG)")
    options = parser.parse_args(arguments)
    body = load_body()
    sys.stdout.write("\n".join(lines(body)) + "\n")
    if options.picture:
        write_image(options.picture, picture(body))


def lines(body: Body) -> list[str]:
    quality = atlas_quality(body)
    worst = min(_well_mapped(shaped(body, k, sign)) for k in range(len(body.shape_dirs)) for sign in (-2.0, 2.0))
    torso = quality.texels_per_m["torso"]
    return [
        f"body version      {body.version}",
        f"charts            {quality.charts}",
        f"flipped faces     {quality.flipped}",
        f"square in use     {100 * quality.used:.1f} %",
        f"stretch {STRETCH[0]}-{STRETCH[1]}   {100 * quality.well_mapped:.2f} % of the area; of any face "
        f"{quality.most_stretch[0]:.2f} to {quality.most_stretch[1]:.2f}",
        f"  +-2 sigma       {100 * worst:.2f} % of the area in the worst of {2 * len(body.shape_dirs)} shapes",
        f"closest charts    {quality.gap_texels:.2f} texels of 256; {quality.edge_texels:.2f} to the square's edge",
        f"smallest texture  {quality.smallest_texture} (bilinear samples of cached maps never mix charts)",
        f"noise borne       {quality.noise_texels:.2f} texels of 256 either way, "
        f"{2 * quality.noise_texels / 256:.4f} of the [-1, 1] grid",
        "texels per metre, of 256, and over the trunk's:",
        *(f"  {name:16}{density:6.0f}{density / torso:8.2f}" for name, density in quality.texels_per_m.items())]


def shaped(body: Body, component: int, sigmas: float) -> Body:
    """The body with one component of its shape moved."""
    betas = np.zeros(len(body.shape_dirs))
    betas[component] = sigmas
    return replace(body, verts=rest_body(body, betas)[0])


def _well_mapped(body: Body) -> float:
    stretch, surface, _ = face_stretches(body)
    good = (stretch.min(1) >= STRETCH[0]) & (stretch.max(1) <= STRETCH[1])
    return float(surface[good].sum() / surface.sum())


def picture(body: Body) -> np.ndarray:
    inks = region_inks(len(body.region_names))
    texels = face_map(body, DRAWN, dilated=False)
    regions = np.where((texels >= 0)[..., None], inks[body.face_region[texels]], 255)
    charts = chart_map(body, DRAWN)
    regions[charts != np.roll(charts, 1, axis=0)] = 0
    regions[charts != np.roll(charts, 1, axis=1)] = 0
    stretch, _, _ = face_stretches(body)
    mean = np.log2(np.sqrt(stretch.prod(1))).clip(-1, 1)[:, None]
    heat = np.round(255 * (1 - np.abs(mean) * np.where(mean > 0, [0, 1, 1], [1, 1, 0]))).astype(int)
    stretched = np.where((texels >= 0)[..., None], heat[texels], 200)
    board = np.where(((np.indices((256, 256)) // 8).sum(0) % 2 == 0)[..., None], 255, 150)
    painted = np.where((region_map(body, 256) < len(inks))[..., None],
                       inks[np.minimum(region_map(body, 256), len(inks) - 1)] * (board / 255), 255)
    views = [figure(body, painted, behind) for behind in (False, True)]
    return tile([label(regions.astype(np.uint8), "regions and charts"), label(stretched.astype(np.uint8), "stretch"),
                 *(label(view, name) for view, name in zip(views, ("front", "behind")))], columns=4)


def region_inks(count: int) -> np.ndarray:
    """(count, 3) colours that can be told apart, 0..255."""
    turn = (np.arange(count) * 0.381966) % 1.0
    return np.round(255 * (0.62 + 0.38 * np.cos(2 * np.pi * (turn[:, None] + [0, 1 / 3, 2 / 3])))).astype(int)


def figure(body: Body, texture: np.ndarray, behind: bool) -> np.ndarray:
    """The body at rest in a texture (S, S, 3), seen from the front or from behind, (HEIGHT, w, 3) uint8."""
    from pipelines.rasterizers.cpu import surface_maps

    focal, away = 5.0 * HEIGHT / 2.0, 5.0
    width = HEIGHT * 3 // 4
    turn = np.diag([-1.0, -1.0, 1.0]) if behind else np.diag([1.0, -1.0, -1.0])
    to_camera = np.eye(4)
    to_camera[:3, :3] = turn
    to_camera[:3, 3] = [0, np.ptp(body.verts[:, 1]) / 2, away]
    camera = Camera(np.array([[focal, 0, width / 2], [0, focal, HEIGHT / 2], [0, 0, 1]]), width, HEIGHT, to_camera)
    maps = surface_maps(body.faces, body.uvs, body.face_uvs, body.verts, camera)
    column, row = np.moveaxis((maps.uv * len(texture)).astype(int).clip(0, len(texture) - 1), -1, 0)
    shade = np.clip(0.35 - 0.65 * maps.normal[..., 2:], 0, 1)
    return np.where(maps.inside[..., None], texture[row, column] * shade, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
