"""Calms poses as they come, without looking ahead: little jitter at a quarter of a frame's lag."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipelines.fitting.residuals import State
from pipelines.fitting.turns import exp_rotation, log_rotation

# Chosen on live fits of the studio's ada and ben (30 fps): 6 to 7 tenths of the jitter stay, 0.8 mm of error
# are added. A filter without a speed of its own (one-euro) at the same jitter added 4 mm and lagged by 0.75 frames.
SETTLES_S = 0.036                       # how fast a surprise is taken over; longer is calmer and later
NEWS_RAD, NEWS_M = 0.2, 0.06            # surprises this large are no noise: they are taken over at once


class Calmer:
    """An alpha-beta filter on a pose: place and speed are guessed ahead, then corrected by a share of the surprise.

    source  Kalata, The tracking index, IEEE Trans. AES 1984: beta = alpha^2 / (2 - alpha) for the speed
    """

    def __init__(self, lowest: np.ndarray, highest: np.ndarray) -> None:
        """lowest, highest (Q,) radians: the joints' limits. The solver's give by a degree or two, these do not."""
        self._lowest, self._highest = lowest, highest
        self.state: State | None = None
        self._time_s = 0.0
        self._pace = (np.zeros(len(lowest)), np.zeros(3), np.zeros(3))      # per second: angles, turn, place

    def restart(self) -> None:
        """Forgets what came before."""
        self.state = None

    def calmed(self, seen: State, time_s: float) -> State:
        """The pose at a time, given what was found there; the first one as it is."""
        before, step_s = self.state, max(time_s - self._time_s, 1e-3)
        self._time_s = time_s
        if before is None:
            self._pace = (np.zeros_like(seen.angles), np.zeros(3), np.zeros(3))
            self.state = replace(seen, angles=np.clip(seen.angles, self._lowest, self._highest))
            return self.state
        angles, place = before.angles + step_s * self._pace[0], before.place + step_s * self._pace[2]
        turn = exp_rotation(step_s * self._pace[1]) @ before.turn
        surprise = (seen.angles - angles, log_rotation(np.ascontiguousarray(seen.turn @ turn.T)), seen.place - place)
        alpha = [1.0 - (1.0 - self._least(step_s)) * (1.0 - np.minimum(size, 1.0) ** 2) for size in
                 (np.abs(surprise[0]) / NEWS_RAD, np.linalg.norm(surprise[1]) / NEWS_RAD, np.abs(surprise[2]) / NEWS_M)]
        step = [share * off for share, off in zip(alpha, surprise)]
        self._pace = tuple(pace + share / (2.0 - share) * off / step_s  # type: ignore[assignment]
                           for pace, share, off in zip(self._pace, alpha, step))
        self.state = State(np.clip(angles + step[0], self._lowest, self._highest), exp_rotation(step[1]) @ turn,
                           place + step[2])
        return self.state

    @staticmethod
    def _least(step_s: float) -> float:
        """The share of a small surprise that is believed."""
        return float(1.0 - np.exp(-step_s / SETTLES_S))
