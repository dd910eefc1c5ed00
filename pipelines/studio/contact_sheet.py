"""The people of the studio on one sheet: who they are, how tall, what they wear, from the front and from behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.core.records import BodyPose
from pipelines.media.sheets import tile
from pipelines.studio.actors import NAMES, Actor, load_actor
from pipelines.studio.identities import IDENTITIES

PICTURE_PX = 640  # of which the middle is kept
KEPT = (0.25, 0.75)  # of a picture's width
COLUMNS = 4  # people side by side
QUALITY = 86  # of the JPEG

HEADING = ("name", "", "height", "hair", "clothes")


def table_of_people() -> tuple[tuple[str, ...], ...]:
    """A heading, and one row for each person of the studio."""
    return (HEADING, *(described(name) for name in NAMES))


def described(name: str) -> tuple[str, ...]:
    """Name, sex, height, hair and clothes of a person, in words."""
    who, actor = IDENTITIES[name], load_actor(name)
    sex = "woman" if who.phenotype["gender"] > 0.5 else "man"
    hair = who.hair.style + (", beard" if who.hair.beard_m > 0 else "")
    clothes = ", ".join(garment.name for garment in reversed(who.outfit))
    return name, sex, f"{actor.height_m:.2f} m", hair, clothes


def write_contact_sheet(path: Path, size: int = PICTURE_PX) -> None:
    """A JPEG of everybody, each twice; `size` is that of the pictures they are cut from."""
    import cv2

    cells = [labelled(np.hstack(front_and_back(load_actor(name), size)), "  ".join(described(name)[:3]))
             for name in NAMES]
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = tile(cells, columns=min(COLUMNS, len(cells)))
    path.write_bytes(cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())


def front_and_back(actor: Actor, size: int) -> list[np.ndarray]:
    """Two cut pictures (size, w, 3) in an A-pose."""
    from pipelines.studio.choreography import PLAIN
    from pipelines.studio.dancing import a_pose_turn
    from pipelines.studio.scene import build_room, picture

    moves, room = a_pose_turn(actor, 8.0, 1.0, PLAIN), build_room(size)
    pictures = []
    for turn in (np.eye(3), np.diag([-1.0, 1.0, -1.0])):
        rotations = moves.joint_rotations[0].copy()
        rotations[0] = turn @ rotations[0]
        image = picture(actor, BodyPose(rotations, turn @ moves.root_translation[0]), room, 0, 0.0, 0)[0].image
        pictures.append(image[:, round(KEPT[0] * size):round(KEPT[1] * size)])
    return pictures


def labelled(image: np.ndarray, text: str) -> np.ndarray:
    """The picture (H, W, 3) with a line of text on white under it."""
    import cv2

    scale = image.shape[1] / 640
    label = np.full((round(34 * scale), image.shape[1], 3), 255, np.uint8)
    place, thickness = (round(12 * scale), round(24 * scale)), max(1, round(scale))
    cv2.putText(label, text, place, cv2.FONT_HERSHEY_DUPLEX, 0.72 * scale, (40, 40, 40), thickness, cv2.LINE_AA)
    return np.vstack([image, label])
