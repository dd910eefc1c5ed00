"""The rows of the paper's tables: which renderer, with what changed, and the paper's own figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipelines.core.errors import AnrError, UsageError
from pipelines.renderers import RENDERERS


@dataclass(frozen=True)
class Row:
    """One line of a table: a model that is trained and examined once for each seed."""

    name: str                           # as typed behind --methods
    title: str                          # as the table shows it
    renderer: str
    changes: tuple[str, ...] = ()       # NAME=VALUE, of the preset as the renderer changes it
    paper: Mapping[str, float] = field(default_factory=dict)    # the paper's figures


# Fig. 5 names its columns by what they have, so each row begins with all that it has not. Without a mask loss only the
# matte in Eq. 3 keeps the predicted mask from vanishing.
_ONLY_PIXEL = ("split=no", "normals=no", "adversarial=0", "feature_matching=0", "face_feature=0")
_NO_VARIATION = ("tv_image=0", "tv_mask=0")
_NO_MASK = ("mask=0", "pixel_mask=matte")

TABLE_1 = (
    Row("v2v", "V2V", "v2v", paper={"ssim": 0.9252, "flip": 0.0363, "lpips": 0.0703, "mfid": 140.0}),
    Row("tna", "TNA", "tna", paper={"ssim": 0.9366, "flip": 0.0323, "lpips": 0.1198, "mfid": 150.0, "ripfip": -0.026}),
    Row("dnr", "DNR", "dnr", paper={"ssim": 0.9398, "flip": 0.0342, "lpips": 0.0918, "mfid": 92.0, "ripfip": 0.077}),
    Row("dnr-full", "DNR, 16 channels, pyramid, view term", "dnr",
        ("texture_channels=16", "texture_levels=4", "view_term=yes")),
    Row("pix2pix", "pix2pix", "pix2pix"),
    Row("anr-paper", "ANR, as the paper trains it", "anr",
        ("split=yes", "texture_start=random", "grid_noise=0.02", "adversarial=0.01", "turned_share=0")),
    Row("anr", "ANR", "anr", paper={"ssim": 0.9738, "flip": 0.0289, "lpips": 0.0508, "mfid": 74.0, "ripfip": 0.186}),
)
TABLE_2 = (
    Row("pixel", "Pixel only (Fig. 5a)", "anr", (*_ONLY_PIXEL, *_NO_VARIATION, *_NO_MASK, "feature=0"),
        {"ssim": 0.968, "lpips": 0.086, "flip": 0.029}),
    Row("feature", "Pixel + feature (Fig. 5b)", "anr", (*_ONLY_PIXEL, *_NO_VARIATION, *_NO_MASK),
        {"ssim": 0.966, "lpips": 0.065, "flip": 0.033}),
    Row("mask", "Pixel + feature + mask (Fig. 5c)", "anr", (*_ONLY_PIXEL, *_NO_VARIATION)),
    Row("variation", "Pixel + feature + mask + TV (Fig. 5d)", "anr", _ONLY_PIXEL,
        {"ssim": 0.963, "lpips": 0.064, "flip": 0.032}),
    Row("two-unsplit", "All + normals (Fig. 5e) = 2 stages, no split", "anr", ("split=no",),
        {"ssim": 0.968, "lpips": 0.058, "flip": 0.032}),
    Row("one-unsplit", "1 stage, no split", "onestage", ("split=no",), {"ssim": 0.962, "lpips": 0.070, "flip": 0.036}),
    Row("one", "1 stage", "onestage", ("split=yes",), {"ssim": 0.965, "lpips": 0.063, "flip": 0.034}),
    Row("one-large", "1 stage of twice the capacity", "onestage", ("split=yes", "capacity=2")),
    Row("ours", "All + normals + split (Fig. 5f) = ours", "anr", ("split=yes",),
        {"ssim": 0.974, "lpips": 0.050, "flip": 0.028}),
)
CONVERGENCE = (
    Row("split", "with split optimisation", "anr", ("split=yes",)),
    Row("unsplit", "without split optimisation", "anr", ("split=no",)),
)
COLLAPSE = (Row("anr", "ANR", "anr"), *(row for row in TABLE_1 if row.name != "anr"))

TABLES: dict[str, tuple[Row, ...]] = {
    "table1": TABLE_1, "table2": TABLE_2, "convergence": CONVERGENCE, "collapse": COLLAPSE}
DEFAULT_METHODS = {"collapse": ("anr",)}        # the others only where they are named
LADDER = (0.0625, 0.125, 0.25, 0.5, 1.0)        # shares of the budget that the curves are drawn through
RATIOS = {"table1": (("anr", "dnr"), ("anr", "v2v"), ("anr", "tna"), ("anr", "pix2pix")),
          "table2": (("ours", "two-unsplit"), ("ours", "one"), ("one", "one-unsplit"), ("two-unsplit", "one-unsplit"),
                     ("ours", "one-large"), ("feature", "pixel"))}


def rows_of(which: str, methods: str = "") -> tuple[Row, ...]:
    """The rows of a table, or those of them that are named with commas; AnrError for one there is none of.

    A row whose renderer this version does not have is among them: the caller says so.
    """
    if which not in TABLES:
        raise UsageError(f"There is no benchmark called {which!r}.", hint=f"There are {', '.join(TABLES)}.")
    known = {row.name: row for row in TABLES[which]}
    named = split_names(methods) or list(DEFAULT_METHODS.get(which, known))
    for name in named:
        if name not in known:
            raise AnrError(f"{which} has no method {name!r}.", hint=f"It has {', '.join(known)}.")
    return tuple(row for row in TABLES[which] if row.name in named)


def present(rows: Iterable[Row]) -> tuple[list[Row], list[Row]]:
    """Rows whose renderer there is, and the others."""
    rows = list(rows)
    return [row for row in rows if row.renderer in RENDERERS], [row for row in rows if row.renderer not in RENDERERS]


def split_names(typed: str) -> list[str]:
    """`a, b` as ["a", "b"], each once."""
    return list(dict.fromkeys(part.strip() for part in typed.split(",") if part.strip()))


def parsed_seeds(typed: str) -> list[int]:
    """`0,1,2` or `0-19` or both as numbers, each once; AnrError where there is none."""
    seeds: list[int] = []
    for part in split_names(typed):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not (last.isdecimal() and int(last) >= int(first))):
            raise _no_seeds(typed)
        seeds += range(int(first), int(last if dash else first) + 1)
    if not seeds:
        raise _no_seeds(typed)
    return list(dict.fromkeys(seeds))


def _no_seeds(typed: str) -> AnrError:
    return AnrError(f"--seeds {typed!r} are no seeds.", hint="Use numbers like 0,1,2 or a range like 0-19.")
