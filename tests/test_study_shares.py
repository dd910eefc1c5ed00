"""Shares and how sure they are: worked cases, and intervals that hold the truth as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from pipelines.studying.shares import binomial_p, by_participants, clopper_pearson, wilson

SHARES = np.linspace(0.02, 0.98, 49)


def coverage(intervals: list[tuple[float, float]], asked: int, share: float) -> float:
    """How often an interval holds the share: summed over all outcomes, not drawn."""
    return sum(float(binom.pmf(k, asked, share)) for k, (low, high) in enumerate(intervals) if low <= share <= high)


def test_wilsons_interval_of_eight_in_ten_worked_by_hand() -> None:
    """z = 1.959964: middle (0.8 + 0.192073) / 1.384146 = 0.716738, half 1.416009 sqrt(0.016 + 0.009604) = 0.226577."""
    found = wilson(8, 10)
    assert (found.share, found.low, found.high) == pytest.approx((0.8, 0.490162, 0.943318), abs=2e-6)


def test_clopper_and_pearsons_interval_without_a_hit_has_a_closed_form() -> None:
    """No hit in n: (1 - high)^n = 2.5 %."""
    found = clopper_pearson(0, 12)
    assert (found.low, found.high) == pytest.approx((0.0, 1 - 0.025 ** (1 / 12)))
    assert clopper_pearson(8, 10).low == pytest.approx(0.4439, abs=1e-4)
    assert clopper_pearson(8, 10).high == pytest.approx(0.9748, abs=1e-4)


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
def test_intervals_of_hits_and_of_misses_mirror_each_other(interval: object) -> None:
    for chosen in range(8):
        of, rest = interval(chosen, 7), interval(7 - chosen, 7)         # type: ignore[operator]
        assert (of.low, of.high) == pytest.approx((1 - rest.high, 1 - rest.low))


def test_the_exact_interval_holds_every_share_at_least_as_often_as_it_says() -> None:
    for asked in (7, 20):
        for confidence in (0.8, 0.95):
            ends = [clopper_pearson(k, asked, confidence) for k in range(asked + 1)]
            worst = min(coverage([(each.low, each.high) for each in ends], asked, share) for share in SHARES)
            assert worst >= confidence - 1e-12


def test_wilsons_interval_holds_the_share_as_often_as_it_says_on_average() -> None:
    ends = [wilson(k, 40) for k in range(41)]
    held = [coverage([(each.low, each.high) for each in ends], 40, share) for share in SHARES]
    assert np.mean(held) == pytest.approx(0.95, abs=0.01)


def test_two_people_who_disagree_leave_everything_open() -> None:
    """Drawn again, they are both the first, both the second, or one of each: 1, 0 or 1/2."""
    found = by_participants(np.array([10, 0]), np.array([10, 10]))
    assert (found.share, found.low, found.high) == (0.5, 0.0, 1.0)


def test_people_who_agree_leave_nothing_open_and_one_person_says_nothing_about_people() -> None:
    found = by_participants(np.full(5, 3), np.full(5, 4))
    assert (found.share, found.low, found.high) == (0.75, 0.75, 0.75)
    alone = by_participants(np.array([3]), np.array([4]))
    assert alone.share == 0.75 and math.isnan(alone.low) and math.isnan(alone.high)


def test_the_share_is_that_of_all_answers_however_many_each_gave() -> None:
    assert by_participants(np.array([1, 9]), np.array([1, 19])).share == 0.5


def test_where_people_differ_only_the_interval_over_participants_holds_the_truth_often_enough() -> None:
    """40 people whose own preferences are Beta(2, 2), 20 answers each: their answers are not 800 independent ones."""
    random = np.random.default_rng(1)
    rounds, people, each = 300, 40, 20
    held = {"people": 0, "wilson": 0}
    for k in range(rounds):
        chosen = random.binomial(each, random.beta(2, 2, people))
        over = by_participants(chosen, np.full(people, each), resamples=600, seed=k)
        of = wilson(int(chosen.sum()), people * each)
        held["people"] += over.low <= 0.5 <= over.high
        held["wilson"] += of.low <= 0.5 <= of.high
    assert held["people"] / rounds > 0.9
    assert held["wilson"] / rounds < 0.75


def test_where_people_are_alike_the_interval_over_participants_is_about_wilsons() -> None:
    chosen = np.random.default_rng(0).binomial(20, 0.7, 60)
    over, of = by_participants(chosen, np.full(60, 20)), wilson(int(chosen.sum()), 1200)
    assert over.high - over.low == pytest.approx(of.high - of.low, rel=0.25)


def test_the_same_seed_gives_the_same_interval() -> None:
    counts = np.arange(9), np.full(9, 10)
    assert by_participants(*counts, seed=3) == by_participants(*counts, seed=3)
    few = [by_participants(*counts, resamples=100, seed=seed) for seed in (3, 4)]
    assert few[0] != few[1]


def test_how_probable_guessing_is_worked_by_hand() -> None:
    assert binomial_p(2, 2, 0.5) == pytest.approx(0.5)          # 1/4 twice: both, or none
    assert binomial_p(4, 4, 0.25) == pytest.approx(1 / 256)     # nothing else is as unlikely
    assert math.isnan(binomial_p(0, 0, 0.5))


def test_without_answers_there_is_no_share() -> None:
    for found in (wilson(0, 0), clopper_pearson(0, 0), by_participants(np.zeros(3, int), np.zeros(3, int))):
        assert all(math.isnan(value) for value in (found.share, found.low, found.high))


def test_counts_that_are_no_share_are_refused() -> None:
    with pytest.raises(ValueError, match=r"5 of 4 at 0\.95 is no share"):
        wilson(5, 4)
    with pytest.raises(ValueError, match="3 of 4 at 1 is no share"):
        clopper_pearson(3, 4, 1.0)
    with pytest.raises(ValueError, match=r"expected two \(P,\) counts, got \(2,\) and \(3,\)"):
        by_participants(np.zeros(2, int), np.zeros(3, int))
