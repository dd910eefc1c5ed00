"""Presets: every number of a training in one record."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from pipelines.core.errors import AnrError


@dataclass(frozen=True)
class Recipe:
    """How a model is built and trained. Counted in images, never in steps."""

    # network (see pipelines/renderers/anr.py)
    latent_channels: int = 12
    unshuffle: int = 4
    widths: tuple[int, ...] = (48, 96, 144)
    blocks: int = 1
    view_term: bool = False                     # dnr: spherical harmonics multiply nine texture channels
    normals: bool = True                        # anr, onestage: whether the network sees I_norm
    capacity: float = 1.0                       # onestage: so many times anr's parameters
    # neural texture
    texture_channels: int = 8                   # paper, section 4.1: 256 x 256 x 8
    texture_levels: int = 1                     # of its mip pyramid (DNR has 4)
    texture_start: str = "random"               # the paper's, or "colours": what the keyframes show, averaged
    # what one step sees
    window: tuple[int, int] = (384, 256)        # height, width in pixels
    batch: int = 1
    scale: tuple[float, float] = (0.5, 1.25)    # rescaling factor f (paper, section 4.1)
    native_share: float = 0.0                   # share of windows that are not rescaled
    turned_share: float = 0.0                   # share of windows that are turned by a quarter, a half, three quarters
    face_share: float = 0.25                    # share of windows placed about the face, where it is seen
    face_weight: float = 2.0                    # weight of the pixel loss on the face
    grid_noise: float = 0.02                    # of the [-1, 1] grid (paper, section 3.4)
    stay_in_chart: bool = False                 # noise never moves a sample into another chart of the atlas
    # split optimisation (Eq. 9 and 10)
    split: bool = True                          # alternate keyframes (texture + network) and others (network)
    split_ratio: float = 1.0                    # steps of the network alone to one step on a keyframe
    network_frames: str = "others"              # which frames teach the network alone: "others" or "all"
    # optimisation
    images: int = 3000                          # where neither these nor minutes are asked for ...
    minutes: float = 0.0                        # ... and the preset has no time budget of its own
    learning_rate: float = 1e-3
    texture_learning_rate: float = 1e-2
    warm_up: int = 50                           # images of linear warm-up
    decay_to: float = 0.02                      # of the learning rate, by half a cosine over the run
    clip_norm: float = 1.0                      # 3 of 15 runs collapsed without clipping, 0 of 11 with it
    average: float = 0.99                       # EMA of weights and textures, per step
    patience: int = 0                           # looks at validation frames without gain before stopping; 0 = never
    # loss weights (Eq. 8)
    pixel: float = 1.0
    pixel_mask: str = "predicted"               # M of Eq. 3; with no mask loss beside it only "matte" does not collapse
    mask: float = 3.0                           # above the largest pixel error, else the mask shrinks to flee from it
    feature: float = 0.1
    feature_warm_up: int = 200                  # images of linear warm-up: while colours are far off it thins the mask
    face_feature: float = 0.0                   # feature loss on the enlarged face
    tv_image: float = 0.005                     # beta_I
    tv_mask: float = 0.01                       # beta_m
    adversarial: float = 0.0                    # Eq. 7
    feature_matching: float = 0.0               # of the critic's features (pix2pixHD, Eq. 4)
    # pose refinement (training/refinement.py): off unless asked for
    refine: bool = False                        # training frames get corrections of their poses, learned along
    refine_from: int = 300                      # images before it begins ...
    refine_warm_up: int = 100                   # ... and images over which its steps then become whole
    refine_rate: float = 0.2                    # about pixels that a frame moves when it is seen
    refine_bound: float = 4.0                   # about pixels, of each number of a correction
    refine_prior: float = 0.1                   # how strongly corrections are drawn towards none
    refine_frames: float = 2.0                  # a step is shared with frames about so far away
    flow: float = 0.0                           # v2v: its flow against the body's, and as it warps the frame before
    surface: float = 0.0                        # tna: parts and coordinates against the fitted body's ...
    surface_until: float = 2.5                  # ... fading out until so many times the planned images: 0.6 is left
    # the feature loss's network; squeezenet1_1 takes its place where vgg19's weights are not to be had
    extractor: str = "squeezenet1_1"
    feature_layers: tuple[int, ...] = (1, 4, 7, 12)         # of SqueezeNet 1.1, after these modules
    vgg_layers: tuple[int, ...] = (1, 6, 11, 20, 29)        # of VGG19: relu1_1, 2_1, 3_1, 4_1, 5_1
    # the critic of the adversarial loss
    critic_loss: str = "lsgan"                  # or "hinge"
    critic_scales: int = 2
    critic_width: int = 64
    critic_sees_maps: bool = False              # judges picture and surface maps together, as pix2pix does
    critic_sees_pairs: bool = False             # and two frames in a row as well, as vid2vid does
    critic_learning_rate: float = 2e-4
    critic_from: int = 0                        # images before the critic begins to learn ...
    critic_warm_up: int = 200                   # ... and images over which its word then gains its full weight

    def network(self, texture_channels: int) -> dict[str, Any]:
        """The size of the renderer, from which each makes its config."""
        return {"texture_channels": texture_channels, "latent_channels": self.latent_channels,
                "unshuffle": self.unshuffle, "widths": list(self.widths), "blocks": self.blocks,
                "view_term": self.view_term, "normals": self.normals, "capacity": self.capacity}


# Parameters, and multiply-adds forward for a 512 x 512 picture:
# draft 2.7 M, 17 G; standard 17 M, 150 G; paper 160 M, 930 G (tests recount both).
# The paper does not print its loss weights (they are in its supplement, which was not at hand): `standard` and
# `paper` switch on all of its losses with weights of ours that were never measured at their size.
PRESETS: dict[str, Recipe] = {
    # Half a texel of grid noise: with the paper's 0.02 (2.56 texels, several of a face's pixels) LPIPS on held-out
    # frames of a real clip was 0.163 instead of 0.139 after 400 images. Texture rate 0.05 for 0.01: 0.159
    # for 0.193 after 400 small windows of a made-up person; a network rate of 0.002 for 0.001 lost 2 dB.
    # Textures that begin with the keyframes' colours: LPIPS 0.045 for 0.049 and 0.045 for 0.051 after 800 images of two
    # made-up people, of the face 0.072 for 0.084 and 0.093 for 0.111. Without split optimisation, then: 0.044 for 0.045
    # and 0.043 for 0.045, PSNR +0.2 dB on both, of the face 0.069 for 0.072 and 0.086 for 0.093.
    # Turned windows keep the colours of arms that are raised as they never were in the recording (without, sleeves and
    # hands go grey); LPIPS on frames where arms hang was 0.047 for 0.044 with a share of 0.3.
    "draft": Recipe(minutes=9.0, grid_noise=0.004, texture_learning_rate=0.05, scale=(0.9, 1.1), native_share=0.5,
                    texture_start="colours", split=False, turned_share=0.15),
    "standard": Recipe(latent_channels=16, unshuffle=2, widths=(64, 128, 192, 256), blocks=2, window=(512, 512),
                       batch=2, images=60_000, warm_up=500, learning_rate=5e-4, average=0.998, extractor="vgg19",
                       adversarial=0.01, critic_from=4000, critic_warm_up=4000),
    "paper": Recipe(latent_channels=16, unshuffle=1, widths=(64, 128, 256, 512, 1024), blocks=2, window=(1024, 1024),
                    batch=2, images=400_000, warm_up=2000, learning_rate=2e-4, average=0.999, extractor="vgg19",
                    adversarial=0.01, critic_scales=3, critic_from=20_000, critic_warm_up=20_000),
}
WORDS = {"texture_start": ("random", "colours"), "network_frames": ("others", "all"),
         "extractor": ("squeezenet1_1", "vgg19", "none"), "critic_loss": ("lsgan", "hinge"),
         "pixel_mask": ("predicted", "matte")}
LEAST = {"batch": 1, "texture_channels": 3, "texture_levels": 1, "blocks": 1, "unshuffle": 1, "learning_rate": 1e-9,
         "texture_learning_rate": 1e-9, "critic_learning_rate": 1e-9, "critic_scales": 1, "critic_width": 1,
         "clip_norm": 1e-9, "split_ratio": 0.0, "capacity": 0.1}


def recipe_for(preset: str, **changes: Any) -> Recipe:
    """A preset with some numbers changed; None leaves the preset's. AnrError for a number that cannot work."""
    if preset not in PRESETS:
        raise AnrError(f"There is no preset called {preset!r}.", hint=f"Choose one of: {', '.join(PRESETS)}.")
    recipe = replace(PRESETS[preset], **{name: value for name, value in changes.items() if value is not None})
    check_recipe(recipe)
    return recipe


def check_recipe(recipe: Recipe) -> None:
    """AnrError for a word that is none of the known ones and for a number out of range."""
    for name, known in WORDS.items():
        if getattr(recipe, name) not in known:
            raise AnrError(f"{name.replace('_', ' ')} {getattr(recipe, name)!r} is not known.",
                           hint=f"Use {' or '.join(known)}.")
    for each in fields(Recipe):
        value, least = getattr(recipe, each.name), LEAST.get(each.name, 0)
        for number in value if isinstance(value, tuple) else (value,):
            if not isinstance(number, str) and not number >= least:
                raise AnrError(f"{each.name.replace('_', ' ')} {number:g} is out of range.",
                               hint=f"Use at least {least:g}.")


def parsed_changes(typed: tuple[str, ...]) -> dict[str, Any]:
    """`NAME=VALUE` words as numbers of a recipe; AnrError for a name there is not or a value that is no such thing."""
    defaults = {each.name: each.default for each in fields(Recipe)}
    changes = {}
    for word in typed:
        name, equals, value = word.partition("=")
        if name not in defaults or not equals:
            raise AnrError(f"--set {word} names nothing of a preset.", hint=f"Names: {', '.join(sorted(defaults))}.")
        try:
            changes[name] = _like(defaults[name], value)
        except ValueError:
            raise AnrError(f"--set {word}: {value!r} cannot be a {name}.",
                           hint=f"A value looks like {_shown(defaults[name])}.") from None
    return changes


def typed_changes(base: Recipe, wanted: Recipe) -> tuple[str, ...]:
    """The `NAME=VALUE` words that make one recipe of another, in the order of its fields: `parsed_changes`
    turned round.

    However somebody came to a recipe, these are the same, so that equal trainings are known as equal.
    """
    return tuple(f"{each.name}={_worded(getattr(wanted, each.name))}" for each in fields(Recipe)
                 if getattr(wanted, each.name) != getattr(base, each.name))


def _worded(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(repr, value)) if isinstance(value, tuple) else str(value)


def _like(example: Any, text: str) -> Any:
    if isinstance(example, bool):
        if text.lower() not in ("yes", "no", "true", "false"):
            raise ValueError(text)
        return text.lower() in ("yes", "true")
    if isinstance(example, tuple):
        values = tuple(type(example[0])(part) for part in text.split(","))
        if len(example) == 2 and len(values) != 2:
            raise ValueError(text)
        return values
    return type(example)(text)


def _shown(example: Any) -> str:
    if isinstance(example, bool):
        return "yes or no"
    return ",".join(map(str, example)) if isinstance(example, tuple) else str(example)
