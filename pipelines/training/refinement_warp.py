"""Surface maps read a little beside where they are: the surface's displacement in the picture, and the warp by it."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from pipelines.renderers.texture import chart_of

JUMP = 24.0 / 256.0                     # of the [-1, 1] grid, 12 texels of 256: neighbours farther apart don't touch


def texel_displacement(vertex_px: torch.Tensor, corners: torch.Tensor, bary: torch.Tensor) -> torch.Tensor:
    """What each texel of the atlas moves by, from what the vertices do.

    vertex_px  (V, 2); corners (S, S, 3) vertices around each texel; bary (S, S, 3) their shares, 0 far from charts
    returns    (S, S, 2) pixels
    """
    return (vertex_px[corners] * bary[..., None]).sum(2)


def pixel_displacement(texel_px: torch.Tensor, grid: torch.Tensor, inside: torch.Tensor, reach: int) -> torch.Tensor:
    """What each pixel's surface point moves by; beside the body what the nearby body does, so that outlines can grow.

    texel_px  (B, S, S, 2) pixels; grid (B, H, W, 2) in [-1, 1]; inside (B, 1, H, W) 0 or 1
    reach     pixels beside the body that are moved with it
    returns   (B, H, W, 2) pixels, zero farther away
    """
    size = texel_px.shape[1]
    texel = ((grid + 1.0) * (size / 2.0)).long().clamp(0, size - 1)
    which = torch.arange(len(grid), device=grid.device)[:, None, None]
    own = texel_px[which, texel[..., 1], texel[..., 0]] * inside[:, 0, :, :, None]
    both = torch.cat([own.permute(0, 3, 1, 2), inside], 1)
    around = F.avg_pool2d(both, 2 * reach + 1, 1, reach)
    beside = around[:, :2] / around[:, 2:].clamp(min=1e-6) * (1.0 - inside)
    return own + beside.permute(0, 2, 3, 1)


def warped(grid: torch.Tensor, normal: torch.Tensor, inside: torch.Tensor, moved: torch.Tensor,
           charts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The maps (as in `Batch`) of the body after its points have moved by `moved` (B, H, W, 2) pixels.

    Each pixel x is read at x - moved(x): in the pixel nearest to that place, whose uv goes on linearly for the rest of
    the way, by its slope along the surface within its chart. So uv is exact to first order, never mixes two charts, and
    has a derivative. Coverage and normals are those of the nearest pixel; their derivative is that of the maps' slope
    (straight-through), and coverage has one on the body's own pixels alone: off it there is no texel to show.
    No displacement gives the maps back to the bit.
    charts   (S, S) the atlas chart of each texel
    """
    batch, height, width, _ = grid.shape
    rows = torch.arange(height, device=grid.device, dtype=grid.dtype)[:, None] - moved[..., 1]
    columns = torch.arange(width, device=grid.device, dtype=grid.dtype)[None, :] - moved[..., 0]
    row = rows.detach().round().clamp(0, height - 1)
    column = columns.detach().round().clamp(0, width - 1)
    rest = torch.stack([columns - column, rows - row], -1)                          # (B, H, W, 2)
    index = (torch.arange(batch, device=grid.device)[:, None, None] * height + row.long()) * width + column.long()
    owner = torch.where(inside[:, 0] > 0, chart_of(grid, charts), -1)
    surface = torch.cat([grid, normal.permute(0, 2, 3, 1)], -1)
    along = torch.cat([_slopes(surface, owner), _slopes(inside.permute(0, 2, 3, 1), None) * inside[:, 0, ..., None,
                                                                                                  None]], -1)
    planes = torch.cat([surface, inside.permute(0, 2, 3, 1)], -1)
    near, slope = planes.flatten(0, 2)[index], along.flatten(0, 2)[index]           # (B, H, W, 6), (B, H, W, 2, 6)
    change = (rest[..., None] * slope).sum(-2)
    through = near[..., 2:] + (change[..., 2:] - change[..., 2:].detach())
    uv = (near[..., :2] + change[..., :2]).clamp(-1.0, 1.0)
    return uv, through[..., :3].permute(0, 3, 1, 2), through[..., 3:].permute(0, 3, 1, 2)


def _slopes(planes: torch.Tensor, owner: torch.Tensor | None) -> torch.Tensor:
    """(B, H, W, 2, C) change of planes (B, H, W, C) per pixel along x and along y, the mean of both sides.

    owner  (B, H, W) whose each pixel is, -1 = nobody's: a side that is another's, or a jump of the first two planes
           away, does not count; None: every side counts
    """
    return torch.stack([_slope(planes, owner, dim) for dim in (2, 1)], -2)


def _slope(planes: torch.Tensor, owner: torch.Tensor | None, dim: int) -> torch.Tensor:
    length = planes.shape[dim]
    steps = planes.narrow(dim, 1, length - 1) - planes.narrow(dim, 0, length - 1)
    if owner is None:
        counts = torch.ones_like(steps[..., :1])
    else:
        first, second = owner.narrow(dim, 0, length - 1), owner.narrow(dim, 1, length - 1)
        near = steps[..., :2].abs().amax(-1) < JUMP
        counts = ((first == second) & (first >= 0) & near)[..., None].to(planes.dtype)
    both = torch.cat([steps * counts, counts], -1)
    end = torch.zeros_like(both.narrow(dim, 0, 1))
    total = torch.cat([both, end], dim) + torch.cat([end, both], dim)               # with the next, with the one before
    return total[..., :-1] / total[..., -1:].clamp(min=1.0)
