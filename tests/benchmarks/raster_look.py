"""A picture of the maps, to look at: parts, UV with a chequer of 4x4 texels, normals and depth of a body that turns.

    python tests/benchmarks/raster_look.py [--size 512] [--out maps.jpg]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from anrcli.commands.bench_raster import Figure, standing_figure
from pipelines.media.images import write_image

POSES = (0, 4, 9, 14, 20)
TEXELS, CHEQUER = 256, 4


def pictures(figure: Figure, k: int) -> np.ndarray:
    """The maps of a pose below one another, cut about the body's middle."""
    maps = figure.maps(k)
    body = figure.body
    inside = maps.inside[..., None]
    palette = np.random.default_rng(3).integers(70, 255, (len(body.region_names) + 1, 3))
    squares = np.floor(maps.uv * TEXELS / CHEQUER).sum(-1, keepdims=True) % 2
    depth = (maps.depth_m - maps.depth_m[maps.inside].min()) / np.ptp(maps.depth_m[maps.inside])
    drawn = (palette[maps.part_index(body.face_region)] / 255, np.concatenate([maps.uv, 0.3 + 0.4 * squares], -1),
             (maps.normal * [1, -1, -1] + 1) / 2, np.repeat(1 - 0.8 * depth[..., None], 3, -1))
    x0, y0, x1, y1 = maps.box
    size = figure.camera.width
    shown = []
    for each in drawn:
        whole = np.ones((size, size, 3))
        whole[y0:y1, x0:x1] = np.where(inside, each, 1)
        shown.append(whole[:, size // 7: -size // 7])
    return np.concatenate(shown, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description="A picture of surface maps.")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--out", type=Path, default=Path("maps.jpg"))
    typed = parser.parse_args()
    figure = standing_figure(typed.size)
    sheet = np.concatenate([pictures(figure, k) for k in POSES], axis=1)
    write_image(typed.out, (sheet * 255).astype(np.uint8))


if __name__ == "__main__":
    main()
