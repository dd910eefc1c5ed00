"""Fits one body to a whole clip: one shape for all frames, a start per frame, then all frames together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.body.model import betas_for_height
from pipelines.core.records import BodyFit, Camera, Landmarks
from pipelines.fitting.anatomy import Anatomy, load_anatomy
from pipelines.fitting.batch import flow_of, loosened, solve_clip
from pipelines.fitting.calibration import GUESSED_HEIGHT_ERROR_M, HEIGHT_ERROR_M, Person, solve_shape
from pipelines.fitting.cuts import shots
from pipelines.fitting.floor import find_floor
from pipelines.fitting.focal import told_focal
from pipelines.fitting.hands import Hands, bend_fingers
from pipelines.fitting.model import JUDGED, Model, Sight
from pipelines.fitting.outline import Outline
from pipelines.fitting.residuals import Anchor, Cloud, State, with_standing
from pipelines.fitting.smoothing import longest_gaps, smooth
from pipelines.fitting.standing import standing_depths, standing_runs
from pipelines.fitting.steadying import steadied
from pipelines.fitting.tracking import LiveFit, Tracker
from pipelines.fitting.traits import Traits

SHAPE_FRAMES = 24
SHAPE_ROUNDS = 4
FOCAL_FRAMES = 10
LIVE_SHAPES = (10, 30, 90, 300)
SETTLING_ROUNDS = 3
FIRST_SMOOTH_S = 0.08                   # so that the first round leaves quick motion to be seen
BRIDGE_S = 0.5
LOST_SHARE = 0.10                       # landmark error over person height beyond which a frame is not trusted
LEAP_M = 0.25                           # a joint that far from what both neighbours say is worth another look

Track = Callable[[Iterable[int], str, int], Iterable[int]]


@dataclass(frozen=True, eq=False)
class Clip:
    """Everything the fit looks at."""

    camera: Camera
    times_s: np.ndarray                 # (F,) with pauses at cuts, as `cuts.parted` makes them
    landmarks: Sequence[Landmarks]      # F
    found: np.ndarray                   # (F,) bool
    height_m: float                     # the person's, from sole to crown
    height_known: bool                  # False: a guess that depth readings may correct
    cloud: Callable[[int], Cloud | None]   # depth readings of a frame, None without depth
    outline: Callable[[int], Outline | None]   # border of the person mask
    smooth_s: float                     # width of the smoothing over time
    clothes: str = "under"             # one of `model.CLOTHES`: whether the body fills its clothes or is under them

    hand_world_m: np.ndarray | None = None          # (F, 2, 21, 3) left, right; None = not looked for
    hand_confidence: np.ndarray | None = None       # (F, 2) 0 = not found

    def sight(self, row: int) -> Sight:
        hands = None
        if self.hand_world_m is not None and self.hand_confidence is not None:
            hands = Hands(self.hand_world_m[row], self.hand_confidence[row])
        return Sight(self.landmarks[row], self.cloud(row), self.outline(row), hands)

    def model(self, betas: np.ndarray, traits: Traits | None = None) -> Model:
        return Model(load_anatomy(), betas, self.camera, self.clothes, traits)


def fit_clip(clip: Clip, track: Track) -> BodyFit:
    """Fits the body to a whole clip; every row of the answer is finite, `ok` says which to trust.

    track  wraps loops for a progress bar: track(rows, label, total)
    """
    anatomy = load_anatomy()
    rows = np.flatnonzero(clip.found)
    sights = {int(row): clip.sight(int(row)) for row in track(rows.tolist(), "Reading masks and depth", len(rows))}
    chosen = shape_rows(clip, rows)
    model = calibrated(anatomy, clip, {row: sights[row] for row in chosen}, track)
    tracker = Tracker(model)
    states: list[State | None] = [None] * len(clip.found)
    for row in track(rows, "Fitting poses", len(rows)):
        landmarks, _ = tracker.unswap(sights[row].landmarks, clip.times_s[row])
        sights[row] = replace(sights[row], landmarks=landmarks)
        states[row] = tracker.follow(sights[row], clip.times_s[row])
    whole, trust = settled(model, clip, sights, _filled(states, clip.times_s), track)
    if clip.smooth_s > 0:
        whole = [state for shot in shots(clip.times_s) for state in steadied(anatomy, whole[shot], clip.times_s[shot])]
    whole = [within_limits(anatomy, state) for state in whole]
    return with_fingers(answer(model, whole, trust, clip, sights), model, clip)


def with_fingers(fit: BodyFit, model: Model, clip: Clip) -> BodyFit:
    """The fit with its fingers bent as far as hands were seen."""
    if clip.hand_world_m is None or clip.hand_confidence is None:
        return fit
    seen = clip.hand_confidence * fit.ok[:, None]
    return bend_fingers(model.anatomy.body, fit, clip.hand_world_m, seen, clip.times_s, clip.smooth_s)


def within_limits(anatomy: Anatomy, state: State) -> State:
    """The pose with every angle within its joint's limits, which the solver only leans on."""
    return replace(state, angles=np.clip(state.angles, anatomy.lowest, anatomy.highest))


def settled(model: Model, clip: Clip, sights: Mapping[int, Sight], states: Sequence[State],
            track: Track) -> tuple[list[State], np.ndarray]:
    """All frames together, a few times over: the floor, what touches it and who is to be trusted are found anew."""
    if clip.smooth_s <= 0:
        return list(states), _trust(model, sights, states)
    flow = flow_of(model.anatomy, clip.times_s, clip.smooth_s)
    lightly = flow_of(model.anatomy, clip.times_s, min(clip.smooth_s, FIRST_SMOOTH_S))
    heights = np.array([model.tall_px(state) for state in states])
    seen = [sights[row].landmarks if row in sights else clip.landmarks[row] for row in range(len(states))]
    runs = standing_runs(seen, clip.found, clip.times_s, heights)
    states = _without_leaps(model, clip, sights, states)
    for turn in track(range(SETTLING_ROUNDS), "Settling poses", SETTLING_ROUNDS):
        trust = _trust(model, sights, states)
        soles = np.array([model.surface(state)[0][model.soles] for state in states])
        floors = _floors(soles, states, trust, clip.times_s)
        stand = standing_depths(runs, np.array([model.marks_m(state) for state in states]),
                                np.array([model.stretched(state) for state in states]))
        goals = [model.goal(sights[row], state, None, floors[row]) if trust[row] > 0 else model.nothing_seen(state)
                 for row, state in enumerate(states)]
        goals = [with_standing(goal, stand[row]) if row in sights and sights[row].cloud is None and trust[row] > 0
                 else goal for row, goal in enumerate(goals)]
        easy = lightly if turn == 0 else loosened(flow, states)
        states = solve_clip(model.rig, model.marks, model.skin, goals, states, easy, 6 if turn == 0 else 3)
    return states, _trust(model, sights, states)


def fit_live(clip: Clip, track: Track) -> BodyFit:
    """The same clip as live use would see it: each frame is answered from the frames before it.

    The shape starts from the height and is found anew after some of `LIVE_SHAPES` frames.
    """
    anatomy = load_anatomy()
    model = clip.model(betas_for_height(anatomy.body, clip.height_m))
    live = LiveFit(model)
    sights: dict[int, Sight] = {}
    states: list[State | None] = [None] * len(clip.found)
    for row in track(range(len(clip.found)), "Fitting poses", len(clip.found)):
        if clip.found[row]:
            sights[row] = clip.sight(row)
            if len(sights) in LIVE_SHAPES:
                chosen = shape_rows(clip, np.array(sorted(sights)))
                live.reshape(calibrated(anatomy, clip, {k: sights[k] for k in chosen}, _untold))
        sight = sights.get(row)
        states[row] = live.state(sight.landmarks if sight else None, sight.cloud if sight else None,
                                 clip.times_s[row])[0]
    whole = _filled(states, clip.times_s)
    known = np.array([state is not None for state in states])
    return answer(live.model, whole, _trust(live.model, sights, whole) * known, clip, sights)


def shape_rows(clip: Clip, rows: np.ndarray, count: int = SHAPE_FRAMES) -> list[int]:
    """Frames spread over the clip, those with the surest landmarks in each stretch."""
    sure = np.array([clip.landmarks[row].confidence[JUDGED].mean() for row in rows])
    parts = np.array_split(np.arange(len(rows)), min(count, len(rows)))
    return [int(rows[part[np.argmax(sure[part])]]) for part in parts]


def calibrated(anatomy: Anatomy, clip: Clip, sights: Mapping[int, Sight], track: Track) -> Model:
    """The person that the frames given agree on; what is hidden in one of them counts little in it."""
    model = clip.model(betas_for_height(anatomy.body, clip.height_m))
    states = [model.fit(sights[row], None) for row in track(list(sights), "Finding the shape", len(sights))]
    error_m = HEIGHT_ERROR_M if clip.height_known else GUESSED_HEIGHT_ERROR_M
    normals = [np.zeros((0, 3)) if sight.cloud is None else sight.cloud.normals for sight in sights.values()]
    person = Person(model.betas, model.traits)
    for turn in range(SHAPE_ROUNDS):
        goals = [model.goal(sight, state) for sight, state in zip(sights.values(), states)]
        person, states = solve_shape(anatomy, goals, states, person, clip.height_m, error_m, 4,
                                     normals if turn > 0 else None)
        model = clip.model(person.betas, person.traits)
    return model


def focal_told_by(clip: Clip) -> float | None:
    """The factor on the camera's focal length that the clip's landmarks ask for; None where they do not tell."""
    anatomy = load_anatomy()
    rows = shape_rows(clip, np.flatnonzero(clip.found), FOCAL_FRAMES)
    sights = {row: Sight(clip.landmarks[row]) for row in rows}

    def cost(camera: Camera, seen: Mapping[int, Sight]) -> float:
        seen_so = replace(clip, camera=camera, smooth_s=0.0)
        model = calibrated(anatomy, seen_so, seen, _untold)
        return sum(model.descend(sight, model.fit(sight, None), None, 4)[1] for sight in seen.values())

    return told_focal(clip.camera, sights, cost)


def _untold(rows: Iterable[int], label: str, total: int) -> Iterable[int]:
    return rows


def _filled(states: Sequence[State | None], times_s: np.ndarray) -> list[State]:
    """Frames without a pose take the nearest one's of their shot, to be replaced by what their neighbours say."""
    known = np.array([row for row, state in enumerate(states) if state is not None])
    nearest = []
    for shot in shots(times_s):
        here = known[(known >= shot.start) & (known < shot.stop)]
        here = here if len(here) else known
        nearest += [here[np.argmin(np.abs(here - row))] for row in range(shot.start, shot.stop)]
    return [states[row] for row in nearest]  # type: ignore[misc]


def _floors(soles_m: np.ndarray, states: Sequence[State], trust: np.ndarray,
            times_s: np.ndarray) -> list[np.ndarray | None]:
    """The floor in every frame, one for each shot; soles_m (F, 2, 4, 3)."""
    floors: list[np.ndarray | None] = []
    for shot in shots(times_s):
        floors += [find_floor(soles_m[shot], states[shot], trust[shot])] * (shot.stop - shot.start)
    return floors


def _trust(model: Model, sights: Mapping[int, Sight], states: Sequence[State]) -> np.ndarray:
    """(F,) 0 or 1: 0 where nobody was found or the body misses the landmarks widely."""
    return np.array([float(row in sights and model.error_px(state, sights[row].landmarks)
                           < LOST_SHARE * model.tall_px(state)) for row, state in enumerate(states)])


def _without_leaps(model: Model, clip: Clip, sights: Mapping[int, Sight], states: Sequence[State]) -> list[State]:
    """Frames that leap away from what both neighbours say are solved again from there; the better answer stays."""
    found = clip.found.astype(float)
    if found.sum() < 5:
        return list(states)
    trust = np.maximum(_trust(model, sights, states) * found, 1e-6 * found)
    frame_s = float(np.median(np.diff(clip.times_s)))
    told = smooth(states, trust, clip.times_s, max(clip.smooth_s, 2 * frame_s), leave_out_self=True)
    leap = np.array([np.abs(model.joints(a) - model.joints(b)).max() for a, b in zip(states, told)])
    usual = float(np.median(leap[clip.found]))
    out = list(states)
    for row in np.flatnonzero(leap > max(LEAP_M, 4 * usual)):
        out[row] = told[row]
        if int(row) in sights:
            sight = sights[int(row)]
            again, _ = model.descend(sight, told[row], Anchor(told[row], 0.5, 0.5, (0.15, 0.15, 0.15)), 8)
            near = model.error_px(again, sight.landmarks) < 1.5 * model.error_px(states[row], sight.landmarks)
            out[row] = again if near else told[row]
    return out


def answer(model: Model, states: Sequence[State], trust: np.ndarray, clip: Clip,
           sights: Mapping[int, Sight]) -> BodyFit:
    """The fit as the other stages read it."""
    poses = [model.pose(state) for state in states]
    millimetres = np.full(len(states), np.nan)
    errors = np.full(len(states), np.nan)
    for row, sight in sights.items():
        millimetres[row] = model.depth_error_mm(states[row], sight.cloud)
        errors[row] = model.error_px(states[row], sight.landmarks)
    errors = np.interp(clip.times_s, clip.times_s[clip.found], errors[clip.found])
    trusted = trust > 0
    return BodyFit(
        betas=model.betas, joint_names=np.array(model.anatomy.body.joint_names), frame_index=np.arange(len(states)),
        joint_rotations=np.array([pose.joint_rotations for pose in poses]),
        root_translation=np.array([pose.root_translation for pose in poses]),
        joints_m=np.array([model.joints(state) for state in states]), residual_px=errors, residual_mm=millimetres,
        ok=trusted | longest_gaps(trusted, clip.times_s, BRIDGE_S))
