"""Who the people of the studio are and what they wear: one entry each (build time)."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipelines.studio import materials

Colour = tuple[float, float, float]  # sRGB 0..1
Style = dict[str, float]


@dataclass(frozen=True)
class Face:
    """What is painted on a face."""

    iris: Colour
    lips: Colour
    brow: Colour
    brow_width_m: float = 0.0055
    blush: float = 0.5
    freckles: float = 0.0
    stubble: float = 0.0
    age: float = 0.0  # 0..1: lines and spots


@dataclass(frozen=True)
class Hair:
    style: str  # one of hairdresser.STYLES
    colour: Colour
    beard_m: float = 0.0  # length; 0 = shaved
    grey: float = 0.0  # share of grey strands


@dataclass(frozen=True)
class Garment:
    """One piece of clothing: which pattern it is cut from, how, and of what cloth."""

    name: str  # what people call it
    cut: str  # one of wardrobe.TAILORS
    material: int
    colours: tuple[Colour, Colour]  # the cloth, and what is woven or printed into it or where it is worn
    style: Style = field(default_factory=dict)
    scale_m: float = 0.04  # of what repeats: stripes, checks, flowers


@dataclass(frozen=True)
class Shoes:
    upper: Colour
    sole: Colour
    accent: Colour
    collar_m: float = 0.080
    sole_m: float = 0.020
    shaft_m: float = 0.0  # height of a boot's shaft above the floor; 0 = none
    laced: bool = True


@dataclass(frozen=True)
class Identity:
    """A person. `phenotype` and `local` are Anny's."""

    phenotype: dict[str, float]
    skin: Colour
    face: Face
    hair: Hair
    outfit: tuple[Garment, ...]  # inner first; at most eight
    shoes: Shoes
    local: dict[str, float] = field(default_factory=dict)
    print_front: str = ""
    print_back: str = ""


def body(gender: float, age: float, muscle: float, weight: float, height: float, **more: float) -> dict[str, float]:
    """Anny's phenotype of an adult: gender 0 man, 1 woman; age 2/3 is 25 years and 1 is 90; height 0.36 is average."""
    usual = dict(proportions=0.65, cupsize=0.5, firmness=0.55, african=0.1, asian=0.1, caucasian=0.8)
    return {**usual, **dict(gender=gender, age=age, muscle=muscle, weight=weight, height=height), **more}


IDENTITIES = {
    "ada": Identity(
        phenotype=body(1, 0.66, 0.45, 0.46, 0.36, proportions=0.75, cupsize=0.42, firmness=0.65, asian=0.15),
        skin=(0.87, 0.68, 0.58),
        face=Face(iris=(0.24, 0.33, 0.22), lips=(0.72, 0.34, 0.35), brow=(0.27, 0.15, 0.09), brow_width_m=0.0050,
                  freckles=0.35),
        hair=Hair("long", (0.36, 0.18, 0.09)),
        outfit=(
            Garment("canvas trousers", "trousers", materials.CANVAS, ((0.30, 0.33, 0.22), (0.4, 0.4, 0.3)),
                    dict(gap_m=0.009, bottom_gap_m=0.014, rise_m=0.20, ankle_m=0.105, rumple_m=0.004, thigh_m=0.080,
                         tube_m=0.057)),
            Garment("striped long-sleeved shirt", "shirt", materials.STRIPES, ((0.91, 0.89, 0.84), (0.72, 0.13, 0.16)),
                    dict(gap_m=0.012, hem_m=0.060, sleeve=0.74, neck_m=0.085, neck_front_m=0.030, rumple_m=0.0045,
                         flare_m=0.020, sleeve_m=0.050, sleeve_end_m=0.046)),
        ),
        shoes=Shoes((0.93, 0.92, 0.90), (0.97, 0.97, 0.96), (0.75, 0.30, 0.28)),
    ),
    "ben": Identity(
        phenotype=body(0, 0.70, 0.58, 0.52, 0.36, firmness=0.5, african=0.2, caucasian=0.7),
        skin=(0.76, 0.56, 0.45),
        face=Face(iris=(0.22, 0.13, 0.07), lips=(0.66, 0.40, 0.36), brow=(0.09, 0.06, 0.045), brow_width_m=0.0075),
        hair=Hair("short", (0.11, 0.075, 0.055), beard_m=0.010),
        outfit=(
            Garment("jeans", "trousers", materials.DENIM, ((0.25, 0.29, 0.37), (0.55, 0.60, 0.66)),
                    dict(gap_m=0.013, bottom_gap_m=0.020, rise_m=0.20, ankle_m=0.030, rumple_m=0.006, thigh_m=0.099,
                         tube_m=0.077)),
            Garment("hoodie", "hoodie", materials.FLEECE, ((0.10, 0.26, 0.55), (0.93, 0.93, 0.90)),
                    dict(gap_m=0.024, hem_m=0.030, sleeve=0.97, neck_m=0.078, neck_front_m=0.012, rumple_m=0.0075,
                         flare_m=0.016, taut=24, sleeve_m=0.070, sleeve_end_m=0.050)),
        ),
        shoes=Shoes((0.36, 0.22, 0.13), (0.86, 0.82, 0.74), (0.85, 0.80, 0.70)),
        print_front="NORTH",
        print_back="07",
    ),
    "cleo": Identity(
        phenotype=body(1, 0.72, 0.42, 0.82, 0.40, cupsize=0.62, african=0.95, asian=0.0, caucasian=0.05),
        skin=(0.42, 0.27, 0.19),
        face=Face(iris=(0.13, 0.075, 0.045), lips=(0.50, 0.20, 0.20), brow=(0.05, 0.035, 0.03), brow_width_m=0.0052,
                  blush=0.2),
        hair=Hair("afro", (0.060, 0.045, 0.040)),
        outfit=(
            Garment("flowered dress", "dress", materials.FLOWERS, ((0.93, 0.69, 0.16), (0.95, 0.93, 0.88)),
                    dict(gap_m=0.010, sleeve=0.22, neck_m=0.088, neck_front_m=0.045, rumple_m=0.0035, taut=18,
                         sleeve_m=0.068, sleeve_end_m=0.074, hem_m=0.50, flare_m=0.13, pleats=11),
                    scale_m=0.070),
        ),
        shoes=Shoes((0.80, 0.79, 0.77), (0.35, 0.24, 0.16), (0.80, 0.79, 0.77), collar_m=0.055, laced=False),
    ),
    "dan": Identity(
        phenotype=body(0, 0.68, 0.44, 0.36, 0.52, african=0.0, asian=0.95, caucasian=0.05),
        skin=(0.88, 0.71, 0.58),
        face=Face(iris=(0.12, 0.07, 0.045), lips=(0.72, 0.46, 0.42), brow=(0.06, 0.05, 0.05), brow_width_m=0.0066,
                  blush=0.35, stubble=0.25),
        hair=Hair("fringe", (0.055, 0.045, 0.045)),
        outfit=(
            Garment("jeans", "trousers", materials.DENIM, ((0.085, 0.10, 0.16), (0.20, 0.24, 0.32)),
                    dict(gap_m=0.009, bottom_gap_m=0.014, rise_m=0.20, ankle_m=0.045, rumple_m=0.0055, thigh_m=0.088,
                         tube_m=0.068)),
            Garment("striped T-shirt", "shirt", materials.STRIPES, ((0.90, 0.90, 0.88), (0.12, 0.16, 0.30)),
                    dict(gap_m=0.010, hem_m=0.010, sleeve=0.30, neck_m=0.075, neck_front_m=0.022, rumple_m=0.005,
                         flare_m=0.014, sleeve_m=0.055, sleeve_end_m=0.062), scale_m=0.022),
            Garment("open jacket", "collared", materials.JACKET, ((0.34, 0.36, 0.24), (0.72, 0.62, 0.40)),
                    dict(gap_m=0.028, hem_m=0.045, sleeve=1.00, neck_m=0.086, neck_front_m=0.03, rumple_m=0.0075,
                         flare_m=0.020, taut=26, opening_m=0.055, sleeve_m=0.070, sleeve_end_m=0.052,
                         collar_m=0.045)),
        ),
        shoes=Shoes((0.12, 0.12, 0.13), (0.93, 0.93, 0.92), (0.92, 0.92, 0.91)),
    ),
    "eva": Identity(
        phenotype=body(1, 0.64, 0.52, 0.38, 0.325, cupsize=0.35, firmness=0.8, african=0.0, asian=0.0, caucasian=1.0),
        skin=(0.95, 0.79, 0.71),
        face=Face(iris=(0.24, 0.38, 0.52), lips=(0.80, 0.45, 0.45), brow=(0.48, 0.36, 0.22), brow_width_m=0.0045,
                  freckles=0.6),
        hair=Hair("ponytail", (0.66, 0.50, 0.28)),
        outfit=(
            Garment("tights", "trousers", materials.STRETCH, ((0.13, 0.14, 0.17), (0.10, 0.62, 0.66)),
                    dict(gap_m=0.003, bottom_gap_m=0.003, rise_m=0.215, ankle_m=0.115, rumple_m=0.0008, taut=3,
                         loose=0.15)),
            Garment("running vest", "shirt", materials.JERSEY, ((0.80, 0.22, 0.42), (0.97, 0.95, 0.92)),
                    dict(gap_m=0.007, hem_m=0.045, armhole_m=0.060, neck_m=0.084, neck_front_m=0.040,
                         rumple_m=0.004, flare_m=0.022, loose=0.8)),
        ),
        shoes=Shoes((0.25, 0.55, 0.75), (0.95, 0.95, 0.95), (0.95, 0.65, 0.15)),
        print_front="RUN",
    ),
    "finn": Identity(
        phenotype=body(0, 0.78, 0.40, 1.0, 0.34, african=0.0, asian=0.0, caucasian=1.0),
        local={"stomach-pregnant-incr": 0.35, "head-fat-incr": 0.4, "neck-double-incr": 0.5},
        skin=(0.93, 0.74, 0.66),
        face=Face(iris=(0.30, 0.42, 0.46), lips=(0.76, 0.46, 0.42), brow=(0.46, 0.24, 0.12), brow_width_m=0.0075,
                  blush=0.55, freckles=0.5, age=0.4),
        hair=Hair("curly", (0.50, 0.23, 0.09), beard_m=0.007, grey=0.05),
        outfit=(
            Garment("chinos", "trousers", materials.CANVAS, ((0.66, 0.56, 0.42), (0.5, 0.4, 0.3)),
                    dict(gap_m=0.012, bottom_gap_m=0.018, rise_m=0.19, ankle_m=0.045, rumple_m=0.0055, thigh_m=0.115,
                         tube_m=0.086)),
            Garment("checked shirt", "collared", materials.CHECKS, ((0.16, 0.34, 0.30), (0.90, 0.86, 0.74)),
                    dict(gap_m=0.017, hem_m=-0.005, sleeve=0.60, neck_m=0.074, neck_front_m=0.020, rumple_m=0.006,
                         flare_m=0.014, taut=26, sleeve_m=0.066, sleeve_end_m=0.060, collar_m=0.036),
                    scale_m=0.085),
        ),
        shoes=Shoes((0.28, 0.17, 0.09), (0.16, 0.13, 0.11), (0.75, 0.60, 0.25), shaft_m=0.155, sole_m=0.026),
    ),
    "gus": Identity(
        phenotype=body(0, 0.68, 0.86, 0.56, 0.465, african=1.0, asian=0.0, caucasian=0.0),
        skin=(0.27, 0.175, 0.13),
        face=Face(iris=(0.10, 0.06, 0.04), lips=(0.36, 0.20, 0.19), brow=(0.03, 0.025, 0.02), brow_width_m=0.0072,
                  blush=0.1, stubble=0.3),
        hair=Hair("shaved", (0.045, 0.038, 0.035)),
        outfit=(
            Garment("shorts", "trousers", materials.CANVAS, ((0.14, 0.17, 0.27), (0.5, 0.5, 0.5)),
                    dict(gap_m=0.016, bottom_gap_m=0.022, rise_m=0.19, length=0.56, rumple_m=0.006, thigh_m=0.118,
                         tube_m=0.112)),
            Garment("printed T-shirt", "shirt", materials.JERSEY, ((0.92, 0.46, 0.12), (0.10, 0.12, 0.20)),
                    dict(gap_m=0.013, hem_m=0.000, sleeve=0.36, neck_m=0.078, neck_front_m=0.018, rumple_m=0.0055,
                         flare_m=0.020, taut=22, sleeve_m=0.075, sleeve_end_m=0.082)),
        ),
        shoes=Shoes((0.88, 0.88, 0.87), (0.95, 0.95, 0.95), (0.85, 0.20, 0.15), collar_m=0.11, sole_m=0.026),
        print_front="MOTION",
        print_back="12",
    ),
    "hana": Identity(
        phenotype=body(1, 0.86, 0.38, 0.55, 0.365, cupsize=0.45, african=0.0, asian=1.0, caucasian=0.0),
        skin=(0.85, 0.67, 0.54),
        face=Face(iris=(0.14, 0.08, 0.05), lips=(0.70, 0.38, 0.36), brow=(0.18, 0.15, 0.14), brow_width_m=0.0048,
                  blush=0.35, age=0.8),
        hair=Hair("bob", (0.14, 0.12, 0.12), grey=0.35),
        outfit=(
            Garment("wide linen trousers", "trousers", materials.LINEN, ((0.16, 0.18, 0.26), (0.3, 0.3, 0.4)),
                    dict(gap_m=0.016, bottom_gap_m=0.030, rise_m=0.215, ankle_m=0.040, rumple_m=0.008, thigh_m=0.094,
                         tube_m=0.096, taut=18)),
            Garment("linen shirt", "collared", materials.LINEN, ((0.62, 0.76, 0.78), (0.95, 0.95, 0.92)),
                    dict(gap_m=0.016, hem_m=-0.060, sleeve=0.90, neck_m=0.074, neck_front_m=0.028, rumple_m=0.007,
                         flare_m=0.026, taut=28, sleeve_m=0.056, sleeve_end_m=0.056, collar_m=0.028)),
        ),
        shoes=Shoes((0.48, 0.13, 0.14), (0.20, 0.15, 0.13), (0.48, 0.13, 0.14), collar_m=0.060, laced=False),
    ),
}
