"""Shares and how sure they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A share with the interval that holds the true one as often as was asked for; NaN where there is nothing."""

    share: float
    low: float
    high: float


def wilson(chosen: int, asked: int, confidence: float = 0.95) -> Interval:
    """Of `chosen` among `asked` independent answers.

    source  Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927)
    """
    _check(chosen, asked, confidence)
    if not asked:
        return Interval(math.nan, math.nan, math.nan)
    share, z = chosen / asked, _normal_quantile(confidence)
    scale = 1 + z * z / asked
    middle = (share + z * z / (2 * asked)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / asked + z * z / (4 * asked * asked))
    return Interval(share, 0.0 if chosen == 0 else middle - half, 1.0 if chosen == asked else middle + half)


def clopper_pearson(chosen: int, asked: int, confidence: float = 0.95) -> Interval:
    """The same, never too narrow: the shares that an exact test at the same level would not reject.

    source  Clopper and Pearson, The use of confidence or fiducial limits, Biometrika 26 (1934)
    """
    from scipy.stats import beta

    _check(chosen, asked, confidence)
    if not asked:
        return Interval(math.nan, math.nan, math.nan)
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, chosen, asked - chosen + 1)) if chosen else 0.0
    high = float(beta.ppf(1 - tail, chosen + 1, asked - chosen)) if chosen < asked else 1.0
    return Interval(chosen / asked, low, high)


def by_participants(chosen: np.ndarray, asked: np.ndarray, confidence: float = 0.95, resamples: int = 10_000,
                    seed: int = 0) -> Interval:
    """Of answers that are not independent: participants, not answers, are drawn again (percentile bootstrap).

    chosen, asked  (P,) whole numbers: a participant's answers for it, and all of their answers
    source         Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 13.3
    """
    chosen, asked = np.asarray(chosen), np.asarray(asked)
    if chosen.shape != asked.shape or chosen.ndim != 1:
        raise ValueError(f"expected two (P,) counts, got {chosen.shape} and {asked.shape}")
    _check(int(chosen.sum()), int(asked.sum()), confidence)
    if not asked.sum():
        return Interval(math.nan, math.nan, math.nan)
    share = float(chosen.sum() / asked.sum())
    if len(chosen) < 2:                                 # one person says nothing about people
        return Interval(share, math.nan, math.nan)
    # How often each participant is drawn, instead of who: the same distribution, and no (resamples, P) indices twice.
    drawn = np.random.default_rng(seed).multinomial(len(chosen), np.full(len(chosen), 1 / len(chosen)), resamples)
    of = drawn @ asked
    shares = (drawn @ chosen)[of > 0] / of[of > 0]      # a draw of people who were never asked says nothing
    tail = (1 - confidence) / 2
    low, high = np.quantile(shares, (tail, 1 - tail))
    return Interval(share, float(low), float(high))


def binomial_p(chosen: int, asked: int, chance: float) -> float:
    """How probable an outcome at least as unlikely is, if every answer were a guess (exact, two-sided)."""
    from scipy.stats import binomtest

    return float(binomtest(chosen, asked, chance).pvalue) if asked else math.nan


def _normal_quantile(confidence: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf((1 + confidence) / 2)


def _check(chosen: int, asked: int, confidence: float) -> None:
    if not (0 <= chosen <= asked and 0 < confidence < 1):
        raise ValueError(f"{chosen} of {asked} at {confidence:g} is no share")
