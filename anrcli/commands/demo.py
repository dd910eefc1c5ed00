"""`anr demo`: two synthetic people through the whole chain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anrcli.commands.command import Command, Parameter, Report
from anrcli.commands.stages import bring
from pipelines.chain import Request, trained_people
from pipelines.core.errors import explained_os_errors
from pipelines.core.stage import Progress
from pipelines.core.workspace import Workspace, newest_version

if TYPE_CHECKING:
    from pipelines.body.model import Body

PEOPLE = ("ada", "ben")
SECONDS, SIZE, MINUTES, WALK_SECONDS = 8.0, 512, 7.0, 4.0
WALK_FPS = 24.0
ANY_LENGTH = 10**9                      # frames: how long the videos are is not known when --frames is checked
REST_MINUTES = 2.5                      # filming, fitting, mattes, three videos; only said


def demo(
    workspace: Workspace,
    progress: Progress,
    seconds: float = SECONDS,
    size: int = SIZE,
    minutes: float = MINUTES,
    frames: str = "",
) -> Report:
    """Captures ada and ben, trains one model on both, renders a walk, an orbit and a try-on."""
    from pipelines.motion.timing import frame_range

    frame_range(frames, ANY_LENGTH)     # refused now, not after the training
    progress.note(f"The demo films {' and '.join(PEOPLE)}, two synthetic people, trains one model on both for about "
                  f"{minutes:g} minutes and makes three videos: a walk, an orbit and a try-on. About "
                  f"{minutes + REST_MINUTES:.0f} minutes in all on two processors; what is there already is kept.")
    for person in PEOPLE:
        filmed = {"source": f"synthetic:{person}", "seconds": seconds, "studio_size": size}
        bring(workspace, "keyframes", Request(person=person, typed={"capture": filmed}), progress)
    avatar = _avatar_name(workspace)
    taught = {"preset": "draft", "minutes": minutes}
    bring(workspace, "train", Request(people=PEOPLE, avatar=avatar, typed={"train": taught}), progress)
    walk = write_walk(workspace)
    outputs: dict[str, Path] = {}
    for name, (stage, options) in _videos(walk).items():
        typed = {stage: {**options, "frames": frames}}
        made = bring(workspace, stage, Request(people=PEOPLE, avatar=avatar, typed=typed), progress)[-1].version
        outputs |= {name: made.outputs["video"], f"{name}_strip": made.outputs["strip"]}
    again = f"anr -w {workspace.root} render --avatar {avatar} --person ben --motion {walk}"
    lines = ("The three videos and their picture strips are there.", f"Next, for example: {again}")
    return Report({**outputs, "motion": walk}, {}, lines)


def _videos(walk: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """{name: (stage, options)} of what the demo shows."""
    return {
        "walk": ("render", {"person": "ada", "motion": str(walk)}),
        "orbit": ("render", {"person": "ben", "orbit": True}),
        "tryon": ("tryon", {"face": "ada", "shirt": "ben", "orbit": True}),
    }


def write_walk(workspace: Workspace) -> Path:
    """A walk from the studio as a BVH file in the workspace, there for other commands as well."""
    from pipelines.body.model import load_body
    from pipelines.motion.bvh import write_bvh
    from pipelines.studio.motions import walk

    body = load_body()
    path = workspace.root / "motions" / "walk.bvh"
    workspace.create()
    with explained_os_errors(path):
        path.parent.mkdir(exist_ok=True)
        write_bvh(path, body.joint_names, body.parents, rest_offsets(body), walk(body, WALK_SECONDS, WALK_FPS))
    return path


def rest_offsets(body: Body) -> np.ndarray:
    """(J, 3) metres: each joint of the mean body from its parent; the root from the origin."""
    above = np.where(body.parents[:, None] >= 0, body.rest_joints[np.maximum(body.parents, 0)], 0.0)
    return body.rest_joints - above


def _avatar_name(workspace: Workspace) -> str:
    """`main`, unless a model of other people has that name."""
    model = newest_version(workspace.avatar_place("main", "train"))
    ours = model is None or trained_people(workspace, Request(avatar="main")) == PEOPLE
    return "main" if ours else "demo"


DEMO = Command(
    "demo", "Shows the whole chain on two synthetic people: a walk, an orbit and a try-on.",
    (Parameter("seconds", float, "How long each of them is filmed.", SECONDS),
     Parameter("size", int, "Width and height of their recordings, in pixels.", SIZE),
     Parameter("minutes", float, "How long to train.", MINUTES),
     Parameter("frames", str, "Only frames A:B of each video.", "all")),
    demo)
