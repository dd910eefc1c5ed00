"""Follows a person from frame to frame with no look ahead: what live use sees, and where the whole clip starts from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipelines.body.model import betas_for_height
from pipelines.core.records import BodyPose, Camera, Landmarks
from pipelines.fitting.anatomy import load_anatomy
from pipelines.fitting.calming import Calmer
from pipelines.fitting.floor import BODY_UP_RAD, CAMERA_UP_RAD
from pipelines.fitting.model import Model, Sight
from pipelines.fitting.residuals import Anchor, Cloud, State, with_standing
from pipelines.fitting.standing import Stands
from pipelines.fitting.swaps import LONGEST_S, unswapped
from pipelines.fitting.turns import exp_rotation, log_rotation

FORGET_S = 0.5                          # without the person for longer, the pose is looked for afresh
STILL_S = 0.12                          # how fast a guessed motion dies away
LIVE_READINGS = 150                     # of the depth image per frame: time falls with it, error hardly
LIVE_DEPTH_ITERATIONS = 2
LIVE_COST = 400.0                       # of the landmarks alone; beyond it a live frame is also tried afresh
LIVE_ANGLE_RAD, LIVE_TURN_RAD = 3.0, 2.5            # expected misses of the guess ahead, per second
LIVE_PLACE_M = (0.5, 0.5, 0.35)
UP_FRAMES = 3.0                         # so many frames with stretched legs tell half of what is up
UP_LEAST = 0.5                          # cosine: hips turned farther from the picture's up are not upright
USUAL_STEP_S = 0.04                     # between frames, what `Model.fit` counts its gaps in


class Tracker:
    """The poses of one person, frame after frame; remembers the last one."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.last: State | None = None
        self.last_s = 0.0
        self._swapped_since: float | None = None

    def lost(self, time_s: float) -> bool:
        """Whether nothing is known of the pose any more."""
        return self.last is None or time_s - self.last_s > FORGET_S

    def unswap(self, landmarks: Landmarks, time_s: float) -> tuple[Landmarks, str]:
        """The landmarks with left and right as in the frames before, and what had been swapped."""
        if self.last is None or self.lost(time_s):
            self._swapped_since = None
            return landmarks, ""
        right, swap = unswapped(landmarks, self.model.marks_px(self.last), self.model.tall_px(self.last))
        if not swap:
            self._swapped_since = None
        elif self._swapped_since is None:
            self._swapped_since = time_s
        elif time_s - self._swapped_since > LONGEST_S:
            self.last = None            # the person did turn
            return landmarks, ""
        return right, swap

    def follow(self, sight: Sight, time_s: float) -> State:
        """The pose of a frame in which the person was found; thorough, some ten iterations."""
        gap = max(1.0, (time_s - self.last_s) / USUAL_STEP_S)
        state = self.model.fit(sight, None if self.lost(time_s) else self.last, gap)
        self.last, self.last_s = state, time_s
        return state


class LiveFit:
    """Poses as the frames come in: each answer rests on what was seen so far.

    model   a body with its shape; `from_height` makes one of the likeliest shape
    """

    def __init__(self, model: Model, iterations: int = 3) -> None:
        self.model, self.iterations = model, iterations
        self._tracker = Tracker(model)
        self._before: tuple[State, float] | None = None
        self._calmer = Calmer(model.anatomy.lowest, model.anatomy.highest)
        self._stands = Stands()
        self._ups, self._count = np.zeros(3), 0.0       # sum of what has been up, and of how much it counted

    def reshape(self, model: Model) -> None:
        """Goes on with another shape of the same person."""
        self.model = self._tracker.model = model

    @classmethod
    def from_height(cls, camera: Camera, height_m: float) -> LiveFit:
        anatomy = load_anatomy()
        return cls(Model(anatomy, betas_for_height(anatomy.body, height_m), camera))

    def see(self, landmarks: Landmarks | None, cloud: Cloud | None, time_s: float) -> tuple[BodyPose | None, float]:
        """The pose at a time, and its landmark error in pixels.

        landmarks  None when nobody was found: the last pose is kept for `FORGET_S`, then there is none (NaN)
        cloud      depth readings on the person, None without depth
        """
        state, error = self.state(landmarks, cloud, time_s)
        return (None if state is None else self.model.pose(state)), error

    def state(self, landmarks: Landmarks | None, cloud: Cloud | None, time_s: float) -> tuple[State | None, float]:
        """As `see`, in the solver's terms."""
        tracker = self._tracker
        if landmarks is None:
            return (None if tracker.lost(time_s) else self._calmer.state), float("nan")
        landmarks, _ = tracker.unswap(landmarks, time_s)
        sight = Sight(landmarks, cloud)
        last, last_s = tracker.last, tracker.last_s
        if last is None or tracker.lost(time_s):
            state, self._before = tracker.follow(sight, time_s), None
            self._calmer.restart()
            self._ups, self._count, self._stands = np.zeros(3), 0.0, Stands()
        else:
            state, self._before = self._next(sight, last, time_s), (last, last_s)
        tracker.last, tracker.last_s = state, time_s
        stretched = self.model.stretched(state)
        self._ups, self._count = self._ups + stretched * state.turn[:, 1], self._count + stretched
        self._stands.add(landmarks, self.model.marks_m(state), stretched, time_s)
        calm = self._calmer.calmed(state, time_s)
        return calm, self.model.error_px(calm, landmarks)

    def _next(self, sight: Sight, last: State, time_s: float) -> State:
        step_s = max(time_s - self._tracker.last_s, 1e-3)
        guess = self._guess(last, step_s)
        anchor = Anchor(guess, LIVE_ANGLE_RAD * step_s, LIVE_TURN_RAD * step_s,
                        (LIVE_PLACE_M[0] * step_s, LIVE_PLACE_M[1] * step_s, LIVE_PLACE_M[2] * step_s))
        goal, up = self.model.seen_goal(sight, guess, anchor), self._up(last)
        if sight.cloud is None and up is not None:
            goal = self.model.balanced(goal, guess, up)
        if sight.cloud is None:
            goal = with_standing(goal, self._stands.depths(sight.landmarks, self.model.tall_px(last), time_s))
        state, cost = self.model.solve(goal, guess, self.iterations)
        if cost > LIVE_COST:
            state = self.model.fit(replace(sight, cloud=None), last, max(1.0, step_s / USUAL_STEP_S))
        if sight.cloud is not None:
            thin = replace(sight, cloud=_thinned(sight.cloud))
            state = self.model.solve(self.model.goal(thin, state, anchor), state, LIVE_DEPTH_ITERATIONS)[0]
        return state

    def _up(self, last: State) -> np.ndarray | None:
        """(3,) unit: what is up by the camera, and by the body when its legs were stretched; None for who lies."""
        if last.turn[1, 1] > -UP_LEAST:
            return None
        up = self._ups / (self._count + UP_FRAMES) / BODY_UP_RAD ** 2 + np.array([0.0, -1.0, 0.0]) / CAMERA_UP_RAD ** 2
        return np.asarray(up / np.linalg.norm(up))

    def _guess(self, last: State, step_s: float) -> State:
        """Where the motion of the frame before leads to, dying away."""
        if self._before is None:
            return last
        before, before_s = self._before
        share = step_s / max(self._tracker.last_s - before_s, 1e-3) * float(np.exp(-step_s / STILL_S))
        if not 0 < share < 3:
            return last
        turned = log_rotation(np.ascontiguousarray(last.turn @ before.turn.T))
        return State(last.angles + share * (last.angles - before.angles), exp_rotation(share * turned) @ last.turn,
                     last.place + share * (last.place - before.place))


def _thinned(cloud: Cloud) -> Cloud:
    """At most `LIVE_READINGS` of the readings, which are in random order."""
    return Cloud(cloud.points[:LIVE_READINGS], cloud.normals[:LIVE_READINGS])
