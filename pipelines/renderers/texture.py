"""The neural texture: how it starts, its pyramid, and how it is read through the rasterised UV image."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

TEXTURE_SIZE = 256                       # paper, section 4.1: 256 x 256 x 8 per identity
TEXTURE_CHANNELS = 8
PERSON_DIGITS = 6                        # of a surface code: 64 people
CODE_CHANNELS = 2 + PERSON_DIGITS + 20   # with five octaves, whose finest wave is 8 texels long
NOISE_HALVINGS = 3                       # how often noise that would leave its chart is halved before it is left out


def start_texture(seed: int, channels: int = TEXTURE_CHANNELS, size: int = TEXTURE_SIZE) -> torch.Tensor:
    """The texture everybody starts from: uniform in [-1, 1].

    It depends on the seed alone, so that the renderer cannot tell people apart by their start noise.

    returns  (C, size, size) float32
    source   paper, section 3.4, Regularization
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((channels, size, size), generator=generator) * 2.0 - 1.0


def surface_code(person: int, channels: int = TEXTURE_CHANNELS, size: int = TEXTURE_SIZE) -> torch.Tensor:
    """What a renderer without a neural texture sees of the surface: where on it, and whose it is.

    From plain coordinates a network learns fine patterns last, so there are waves of them as well.

    person    number of the person, from 0
    channels  2 of coordinates, `PERSON_DIGITS` or fewer of the person, then 4 of every octave there is room for
    returns   (C, size, size) float32 in [-1, 1]: u, v, the binary digits of the person's number as -1 and 1, and
              sin and cos of u and v times 2 pi, 4 pi ...; what is left is 0
    source    Tancik et al., Fourier features let networks learn high frequency functions, NeurIPS 2020, section 6
    """
    digits = min(PERSON_DIGITS, channels - 2)
    if digits < 1 or person >= 2**digits:
        raise ValueError(f"a surface code of {channels} channels has no room for person {person}")
    along = (torch.arange(size) + 0.5) / size * 2.0 - 1.0
    v, u = torch.meshgrid(along, along, indexing="ij")
    code = torch.full((digits, size, size), -1.0)
    code[[digit for digit in range(digits) if person >> digit & 1]] = 1.0
    octaves = [2.0 ** (k + 1) * math.pi for k in range((channels - 2 - digits) // 4)]
    waves = [wave(pace * place)[None] for pace in octaves for wave in (torch.sin, torch.cos) for place in (u, v)]
    left = torch.zeros((channels - 2 - digits) % 4, size, size)
    return torch.cat([u[None], v[None], code, *waves, left]).float().contiguous()


def pyramid(texture: torch.Tensor, levels: int) -> torch.Tensor:
    """A texture as the finest level of a mip pyramid whose coarser levels, all zero, lie at its right.

    texture  (C, S, S), S divisible by 2^(levels - 1)
    returns  (C, S, S) for one level, else (C, S, S + S / 2): level k at column S, below level k - 1
    source   the layout of Williams, Pyramidal parametrics, SIGGRAPH 1983; the sum of levels: Thies et al., Deferred
             neural rendering, 2019, section 4.2
    """
    if levels == 1:
        return texture
    size = texture.shape[-1]
    if size % 2 ** (levels - 1):
        raise ValueError(f"a texture of {size} texels has no {levels} levels")
    return torch.cat([texture, texture.new_zeros(texture.shape[0], size, size // 2)], 2)


def flat_texture(stored: torch.Tensor, levels: int) -> torch.Tensor:
    """The one texture (C, S, S) that a pyramid amounts to: the sum of its levels, enlarged; linear in `stored`."""
    if levels == 1:
        return stored
    size = stored.shape[1]
    total, top = stored[:, :, :size], 0
    for level in range(1, levels):
        side = size >> level
        part = stored[:, top:top + side, size:size + side]
        total = total + F.interpolate(part[None], (size, size), mode="bilinear", align_corners=False)[0]
        top += side
    return total


def sample_texture(texture: torch.Tensor, grid: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """The neural image: the texture read bilinearly at each covered pixel, zero elsewhere.

    texture  (C, S, S)
    grid     (B, H, W, 2) = 2 uv - 1, u right, v down, (-1, -1) the outer corner of the first texel
    inside   (B, 1, H, W) float, 1 where the body covers the pixel; no gradient reaches a texel through a 0
    returns  (B, C, H, W)
    """
    if texture.ndim != 3 or grid.ndim != 4 or grid.shape[-1] != 2:
        shapes = f"{tuple(texture.shape)}, {tuple(grid.shape)}"
        raise ValueError(f"expected texture (C, S, S) and grid (B, H, W, 2), got {shapes}")
    many = texture[None].expand(grid.shape[0], -1, -1, -1)
    return F.grid_sample(many, grid, mode="bilinear", padding_mode="border", align_corners=False) * inside


def perturb_grid(grid: torch.Tensor, amount: float, generator: torch.Generator,
                 charts: torch.Tensor | None = None) -> torch.Tensor:
    """The sampling grid with independent uniform noise in +-amount per pixel, clamped to [-1, 1].

    Keeps the renderer from trusting the exact outline of the coarse body (paper, section 3.4: amount 0.02,
    which is 2.56 texels of 256).

    charts  (S, S) the atlas chart of each texel, or None: where noise would take a sample into another chart, or
            between charts, it is halved until it does not, and after three times left out
    """
    if amount == 0.0:
        return grid
    noise = (torch.rand(grid.shape, generator=generator).to(grid.device) * 2.0 - 1.0) * amount
    moved = (grid + noise).clamp(-1.0, 1.0)
    if charts is None:
        return moved
    own = chart_of(grid, charts)
    for _ in range(NOISE_HALVINGS):
        strayed = chart_of(moved, charts) != own
        noise = torch.where(strayed[..., None], noise / 2.0, noise)
        moved = (grid + noise).clamp(-1.0, 1.0)
    return torch.where((chart_of(moved, charts) != own)[..., None], grid, moved)


def chart_of(grid: torch.Tensor, charts: torch.Tensor) -> torch.Tensor:
    """The chart of the texel each sample (..., 2) lies in."""
    size = charts.shape[0]
    texel = ((grid + 1.0) * (size / 2.0)).long().clamp(0, size - 1)
    return charts[texel[..., 1], texel[..., 0]]
