"""Losses beyond the pixel: the critic, the pretrained extractors, faces, and what stops a training."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path

import pytest
import torch
from listening import Listening

from pipelines.core.errors import AnrError
from pipelines.metrics.weights import PRETRAINED, find_weights
from pipelines.training.discriminator import (
    MultiScaleCritic,
    PatchCritic,
    adversarial_loss,
    critic_loss,
    feature_matching_loss,
    receptive_field,
)
from pipelines.training.features import SqueezeFeatures, VggFeatures, load_extractor
from pipelines.training.losses import FACE_SIDE, enlarged, face_boxes, feature_loss
from pipelines.training.recipe import PRESETS, check_recipe, parsed_changes, recipe_for

VGG = "vgg19-dcbb9e9d.pth"


def verdicts(*scores: float) -> list[list[torch.Tensor]]:
    """One scale for each score, with one layer of features equal to it."""
    return [[torch.full((1, 2, 3, 3), s), torch.full((1, 1, 2, 2), s)] for s in scores]


# ---- the critic -----------------------------------------------------------------------------------------------------

def test_least_squares_losses_by_hand() -> None:
    assert adversarial_loss(verdicts(0.5, 0.0), "lsgan").item() == pytest.approx((0.25 + 1.0) / 2)
    assert critic_loss(verdicts(1.0, 0.5), verdicts(0.0, 0.5), "lsgan").item() == pytest.approx((0 + 0.5) / 2 / 2)


def test_hinge_losses_by_hand() -> None:
    assert adversarial_loss(verdicts(0.5, -2.0), "hinge").item() == pytest.approx(0.75)
    assert critic_loss(verdicts(3.0, 0.5), verdicts(-3.0, 0.5), "hinge").item() == pytest.approx((0 + 2.0) / 2 / 2)


@pytest.mark.parametrize("kind", ["lsgan", "hinge"])
def test_a_critic_is_best_off_calling_the_true_one_and_the_made_minus_one_or_zero(kind: str) -> None:
    made = 0.0 if kind == "lsgan" else -1.0
    best = critic_loss(verdicts(1.0), verdicts(made), kind).item()
    assert best == 0.0 < critic_loss(verdicts(made), verdicts(1.0), kind).item()
    assert adversarial_loss(verdicts(1.0), kind) < adversarial_loss(verdicts(made), kind)


def test_feature_matching_compares_layers_but_not_scores_and_teaches_the_made_picture_alone() -> None:
    real, made = verdicts(1.0, 2.0), verdicts(4.0, 4.0)
    for scale in (*real, *made):
        for tensor in scale:
            tensor.requires_grad_()
    loss = feature_matching_loss(real, made)
    assert loss.item() == pytest.approx((3 + 2) / 2)
    loss.backward()
    assert made[0][0].grad is not None and made[0][1].grad is None and real[0][0].grad is None


def test_a_score_sees_seventy_pixels() -> None:
    """By arithmetic, and by which pixels one score's gradient reaches (without the norm, which looks at all)."""
    assert receptive_field() == 70
    critic = PatchCritic(1, 4)
    for module in list(critic.modules()):
        for name, child in module.named_children():
            if isinstance(child, torch.nn.InstanceNorm2d):
                setattr(module, name, torch.nn.Identity())
    image = torch.randn(1, 1, 160, 160, requires_grad=True)
    scores = critic(image)[-1]
    middle = scores.shape[-1] // 2
    scores[0, 0, middle, middle].backward()
    reached = (image.grad[0, 0] != 0).any(0).nonzero()                # type: ignore[index]
    assert int(reached.max() - reached.min()) + 1 == 70


def test_each_scale_halves_the_picture() -> None:
    judged = MultiScaleCritic(3, 8, 3)(torch.randn(2, 3, 96, 64))
    sides = [scale[0].shape[-2:] for scale in judged]
    assert sides == [(49, 33), (25, 17), (13, 9)]
    assert all(scale[-1].shape[:2] == (2, 1) for scale in judged)


def test_a_critic_learns_to_tell_pictures_apart() -> None:
    torch.manual_seed(0)
    critic = MultiScaleCritic(3, 8, 2)
    optimiser = torch.optim.Adam(critic.parameters(), lr=4e-3, betas=(0.5, 0.999))
    losses = []
    for _ in range(12):
        smooth = torch.rand(2, 3, 1, 1).expand(-1, -1, 24, 24)
        loss = critic_loss(critic(smooth + 0.3 * torch.randn(2, 3, 24, 24)), critic(smooth), "lsgan")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


# ---- extractors -----------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def vgg_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like torchvision's, with the real shapes of VGG19's feature part and made-up numbers."""
    from torchvision.models import vgg19

    path = tmp_path_factory.mktemp("weights") / VGG
    with torch.device("meta"):
        features = vgg19(weights=None, init_weights=False).features
    generator = torch.Generator().manual_seed(0)
    state = {f"features.{key}": torch.randn(value.shape, generator=generator) * 0.02
             for key, value in features.state_dict().items()}
    torch.save({**state, "classifier.0.weight": torch.zeros(3)}, path)
    return path


@pytest.fixture
def known_hash(vgg_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the made-up file pass for the real one."""
    digest = hashlib.sha256(vgg_weights.read_bytes()).hexdigest()
    monkeypatch.setitem(PRETRAINED, "vgg19", dataclasses.replace(PRETRAINED["vgg19"], files={VGG: digest}))


@pytest.fixture(autouse=True)
def no_weights_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ANR_WEIGHTS", raising=False)
    monkeypatch.delenv("TORCH_HOME", raising=False)


def test_vgg_features_are_the_activations_after_the_named_relus(vgg_weights: Path) -> None:
    from torchvision.models import vgg19

    extractor = VggFeatures(vgg_weights, PRESETS["paper"].vgg_layers)
    image = torch.rand(1, 3, 48, 32) * 2 - 1
    found = extractor(image)
    assert [layer.shape[1:] for layer in found] == [(64, 48, 32), (128, 24, 16), (256, 12, 8), (512, 6, 4), (512, 3, 2)]
    plain = vgg19(weights=None, init_weights=False).features
    stored = torch.load(vgg_weights)
    plain.load_state_dict({k.removeprefix("features."): v for k, v in stored.items() if k.startswith("features")})
    normed = ((image + 1) / 2 - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) \
        / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    torch.testing.assert_close(found[2], plain[:12](normed), atol=1e-6, rtol=1e-4)
    assert all(float(layer.min()) >= 0 for layer in found)
    assert feature_loss(extractor, image, image).item() == 0.0 < feature_loss(extractor, image.flip(3), image).item()


def test_vgg_is_used_where_its_weights_are(vgg_weights: Path, known_hash: None) -> None:
    progress = Listening()
    found = load_extractor(PRESETS["standard"], str(vgg_weights.parent), progress, torch.device("cpu"))
    assert isinstance(found, VggFeatures) and not progress.warnings


def test_a_vgg_file_with_wrong_content_is_refused(vgg_weights: Path) -> None:
    with pytest.raises(AnrError, match="expected dcbb9e9d"):
        find_weights("vgg19", vgg_weights.parent)


def test_without_vgg_squeezenet_takes_its_place_and_that_is_said(shared_data: Path) -> None:
    progress = Listening()
    found = load_extractor(PRESETS["standard"], str(shared_data / "weights"), progress, torch.device("cpu"))
    assert isinstance(found, SqueezeFeatures)
    assert any("SqueezeNet in its place" in text and "vgg19-dcbb9e9d.pth" in text for text in progress.warnings)


def test_without_any_weights_there_is_no_feature_loss_and_that_is_said() -> None:
    progress = Listening()
    assert load_extractor(PRESETS["draft"], "", progress, torch.device("cpu")) is None
    assert any("no feature loss" in text for text in progress.warnings)


@pytest.mark.parametrize("changes", [{"extractor": "none"}, {"feature": 0.0}])
def test_a_recipe_without_feature_loss_asks_for_no_weights(changes: dict[str, object]) -> None:
    progress = Listening()
    assert load_extractor(recipe_for("draft", **changes), "", progress, torch.device("cpu")) is None
    assert not progress.warnings


# ---- faces ----------------------------------------------------------------------------------------------------------

def test_a_face_box_is_a_square_about_the_face_within_the_window() -> None:
    face = torch.zeros(3, 1, 60, 50)
    face[0, 0, 20:30, 10:30] = 1
    face[1, 0, :20, 40:] = 1
    face[2, 0, 5, 5] = 1
    first, second, third = face_boxes(face, 60)
    assert first == (25 - 14, 25 + 14, 20 - 14, 20 + 14)
    assert second == (0, 24, 31, 50) and third is None


def test_enlarged_faces_keep_their_colours_and_pass_gradients_to_their_own_pixels() -> None:
    image = torch.rand(2, 3, 40, 40, requires_grad=True)
    crops = enlarged(image, [None, (4, 20, 10, 26)])
    assert crops.shape == (1, 3, FACE_SIDE, FACE_SIDE)
    assert crops.mean().item() == pytest.approx(image[1, :, 4:20, 10:26].mean().item(), abs=1e-3)
    crops.sum().backward()
    assert image.grad is not None and float(image.grad[0].abs().max()) == 0.0
    reached = image.grad[1, 0] != 0
    assert reached[4:20, 10:26].all() and int(reached.sum()) == 16 * 16


# ---- numbers that are typed -----------------------------------------------------------------------------------------

def test_typed_changes_take_the_kind_of_what_they_change() -> None:
    found = parsed_changes(("adversarial=0.02", "split=no", "widths=8,16,24", "critic_scales=3", "extractor=vgg19",
                            "scale=0.5,1.25"))
    assert found == {"adversarial": 0.02, "split": False, "widths": (8, 16, 24), "critic_scales": 3,
                     "extractor": "vgg19", "scale": (0.5, 1.25)}
    check_recipe(dataclasses.replace(PRESETS["draft"], **found))      # type: ignore[arg-type]


@pytest.mark.parametrize(("typed", "told"), [("adversary=1", "names nothing"), ("adversarial", "names nothing"),
                                             ("batch=two", "'two' cannot be a batch"),
                                             ("split=maybe", "'maybe' cannot be a split"),
                                             ("window=3", "'3' cannot be a window")])
def test_a_typed_change_that_cannot_be_is_refused(typed: str, told: str) -> None:
    with pytest.raises(AnrError, match=told):
        parsed_changes((typed,))


@pytest.mark.parametrize("changes", [{"critic_loss": "wasserstein"}, {"texture_start": "black"}, {"tv_image": -1.0},
                                     {"critic_scales": 0}, {"scale": (float("nan"), 1.0)}])
def test_numbers_that_cannot_work_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(AnrError, match=f"^{next(iter(changes)).replace('_', ' ')}"):
        recipe_for("draft", **changes)


def test_the_draft_preset_has_none_of_the_terms_that_were_not_measured() -> None:
    """Its figures in docs/results.md were measured so; a new term needs a new measurement."""
    draft = PRESETS["draft"]
    assert draft.adversarial == draft.feature_matching == draft.face_feature == draft.patience == 0
    assert (draft.split_ratio, draft.network_frames, draft.texture_start, draft.extractor) == (
        1.0, "others", "colours", "squeezenet1_1")
    assert not draft.stay_in_chart and draft.texture_levels == 1 and draft.texture_channels == 8


@pytest.mark.parametrize("preset", ["standard", "paper"])
def test_larger_presets_have_all_losses_of_the_paper_and_its_numbers(preset: str) -> None:
    recipe = PRESETS[preset]
    assert min(recipe.pixel, recipe.mask, recipe.feature, recipe.tv_image, recipe.tv_mask, recipe.adversarial) > 0
    assert recipe.extractor == "vgg19" and recipe.split and recipe.critic_scales >= 2
    assert (recipe.scale, recipe.grid_noise, recipe.texture_channels) == ((0.5, 1.25), 0.02, 8)


# ---- the page that maps the paper to the code ------------------------------------------------------------------------

def test_the_paper_to_code_map_names_what_there_is() -> None:
    root = Path(__file__).resolve().parents[1]
    text = (root / "docs" / "model.md").read_text(encoding="utf-8")
    places = re.findall(r"`([a-z_/0-9]+\.py)`((?:,? `[A-Za-z_]+`)+)", text)
    assert len(places) > 25
    for file, names in places:
        code = (root / "pipelines" / file).read_text(encoding="utf-8")
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"^(?:async )?(?:def|class) {name}\b", code, re.M), f"{file} has no {name}"


def test_the_page_names_every_equation_and_every_loss_weight() -> None:
    text = (Path(__file__).resolve().parents[1] / "docs" / "model.md").read_text(encoding="utf-8")
    for number in range(1, 9):
        assert f"| Eq. {number} |" in text
    weights = ("pixel", "mask", "feature", "tv_image", "tv_mask", "adversarial", "feature_matching", "face_feature")
    assert all(f"`{name}`" in text and hasattr(PRESETS["draft"], name) for name in weights)
