"""coach.png: the body from four sides, coloured by how well each part was seen, and what else the coach counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.body.model import Body, load_body
from pipelines.body.surface import vertex_normals
from pipelines.coaching.verdict import GO, NO_GO, NOTE, POSE_SHARE, SIDE_SHARE, STOP, Verdict
from pipelines.core.records import Camera
from pipelines.rasterizers.cpu import interpolate, rasterize

WIDTH, BODY_HEIGHT, TOP = 1200, 420, 84     # pixels of the finished picture
FINER = 2                               # everything is drawn twice as large and reduced, text too
ENOUGH_SHARE = 0.06                     # of the looks: a face seen in so many has the full colour
# name, turn of the body in degrees, width in pixels
VIEWS = (("front", 0.0, 288), ("left side", -90.0, 144), ("back", 180.0, 288), ("right side", 90.0, 144))
GREY = (203, 206, 211)
RAMP = ((0.0, (226, 128, 66)), (0.45, (240, 202, 92)), (0.85, (74, 168, 118)), (1.0, (46, 148, 104)))
INK, FAINT, PAPER, LINE = (38, 42, 48), (116, 122, 130), (252, 252, 251), (222, 224, 227)
SIGNAL = {GO: (46, 148, 104), NO_GO: (196, 62, 54)}
WARN_COLOUR = (214, 140, 40)


def draw_verdict(verdict: Verdict, often: np.ndarray, frontal: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8.

    often, frontal  (T,) share of the looks that see a face of the coarse body, and how frontally (cosine)
    """
    findings = [finding for finding in verdict.findings if finding.severity != NOTE or finding.about == "stretch"]
    lines = [(finding.severity, text) for finding in findings
             for text in wrapped(f"{finding.text} {finding.remedy}", 132)]
    height = TOP + BODY_HEIGHT + 96 + 24 * len(lines) + (14 if lines else 0)
    sheet = np.full((FINER * height, FINER * WIDTH, 3), PAPER, np.uint8)
    _head(sheet, verdict)
    scores = vertex_scores(often, frontal)
    x = 16
    for name, turn_deg, width in VIEWS:
        _paste(sheet, draw_body(scores, turn_deg, width * FINER, BODY_HEIGHT * FINER), x, TOP)
        seen, middle = verdict.sides[name], x + width // 2
        _text(sheet, f"{name} {100 * seen.share:.0f} %", middle, TOP + BODY_HEIGHT + 24, 0.56,
              INK if seen.share >= SIDE_SHARE else WARN_COLOUR, centred=True)
        _text(sheet, f"{seen.frames} frames", middle, TOP + BODY_HEIGHT + 46, 0.44, FAINT, centred=True)
        x += width
    _legend(sheet, 24, TOP + BODY_HEIGHT + 68)
    _panel(sheet, verdict, x + 36, TOP + 8)
    for k, (severity, text) in enumerate(lines):
        _text(sheet, text, 24, TOP + BODY_HEIGHT + 118 + 24 * k, 0.46, SIGNAL[NO_GO] if severity == STOP else INK)
    import cv2

    return np.asarray(cv2.resize(sheet, (WIDTH, height), interpolation=cv2.INTER_AREA))


def vertex_scores(often: np.ndarray, frontal: np.ndarray) -> np.ndarray:
    """(V,) 0 = never seen .. 1 = often and from the front, the mean of the faces around each vertex."""
    body = load_body()
    score = np.where(often > 0, np.clip(frontal, 0.05, 1) * np.minimum(1, np.sqrt(often / ENOUGH_SHARE)), 0.0)
    total, count = np.zeros(len(body.verts)), np.zeros(len(body.verts))
    for corner in range(3):
        np.add.at(total, body.faces[:, corner], score)
        np.add.at(count, body.faces[:, corner], 1)
    return np.asarray(total / np.maximum(count, 1))


def draw_body(scores: np.ndarray, turn_deg: float, width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8: the resting body, turned about its own axis, shaded; scores (V,)."""
    body = load_body()
    verts, normals, camera = _posed(body, turn_deg, width, height)
    face_index, bary, _ = rasterize(verts, body.faces, camera)
    values = interpolate(face_index, bary, np.column_stack([scores, normals]).astype(np.float32), body.faces)
    inside = face_index >= 0
    score, normal = values[inside][:, 0], values[inside][:, 1:]
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    light = 0.62 + 0.42 * np.clip(normal @ np.array([-0.35, -0.55, -0.76]), 0, 1) - 0.25 * (1 + normal[:, 2]) ** 2
    picture = np.full((height, width, 3), PAPER, np.uint8)
    picture[inside] = np.clip(ramp(score) * light[:, None], 0, 255).astype(np.uint8)
    return picture


def _posed(body: Body, turn_deg: float, width: int, height: int) -> tuple[np.ndarray, np.ndarray, Camera]:
    """Vertices and normals (V, 3) in camera axes, and a camera that shows the body as tall as its picture."""
    c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    turn = np.diag([1.0, -1.0, -1.0]) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    tall = np.ptp(body.verts[:, 1])
    scale = 0.95 * height / tall
    middle = np.array([0.0, body.verts[:, 1].min() + tall / 2, body.verts[:, 2].mean()])
    camera = Camera(K=np.array([[scale, 0, width / 2], [0, scale, height / 2], [0, 0, 1.0]]), width=width,
                    height=height, weak_depth_m=1.0)
    verts = (body.verts - middle) @ turn.T + np.array([0.0, 0.0, 5.0])
    return verts, vertex_normals(body.verts, body.faces) @ turn.T, camera


def ramp(score: np.ndarray) -> np.ndarray:
    """Colours (..., 3), 0..255, of scores (...): grey for never, then orange, yellow, green."""
    at, colours = np.array([point for point, _ in RAMP]), np.array([colour for _, colour in RAMP], float)
    seen = np.stack([np.interp(score, at, colours[:, k]) for k in range(3)], axis=-1)
    share = np.clip(np.asarray(score) / 0.06, 0, 1)[..., None]
    return np.asarray(share * seen + (1 - share) * np.array(GREY, float))


def wrapped(text: str, columns: int) -> list[str]:
    """Lines of at most `columns` letters, broken between words; the first with a dash before it."""
    lines, line = [], "-"
    for word in text.split():
        if len(line) + 1 + len(word) > columns:
            lines.append(line)
            line = " "
        line += f" {word}"
    return [*lines, line]


def _head(sheet: np.ndarray, verdict: Verdict) -> None:
    import cv2

    word = verdict.word
    colour = SIGNAL.get(word, WARN_COLOUR)
    (width, _), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, 0.8 * FINER, FINER)
    cv2.rectangle(sheet, (24 * FINER, 20 * FINER), (24 * FINER + width + 32 * FINER, 60 * FINER), colour, -1,
                  cv2.LINE_AA)
    _text(sheet, word, 40, 49, 0.8, (255, 255, 255))
    _text(sheet, f"{verdict.looked_at} of {verdict.frames} frames looked at", 24 + width // FINER + 52, 48, 0.52, FAINT)


def _panel(sheet: np.ndarray, verdict: Verdict, x: int, y: int) -> None:
    """Poses with bars, then the main numbers."""
    _text(sheet, "poses, frames", x, y + 10, 0.52, INK)
    for k, (pose, frames) in enumerate(verdict.poses.items()):
        _bar(sheet, pose, frames / max(verdict.frames, 1), str(frames), x, y + 38 + 42 * k,
             enough=frames >= POSE_SHARE * verdict.frames)
    y += 38 + 42 * len(verdict.poses) + 24
    figures = verdict.figures
    rows = [("person", f"{figures.get('person_px', 0):.0f} px tall"), ("in view", _percent(figures, "found_share")),
            ("people", f"{figures.get('people', 0):.0f}"), ("camera moves", _percent(figures, "camera_moved_share")),
            ("brightness", _percent(figures, "light"))]
    rows += [("blur", f"{figures['blur']:.2f}")] if "blur" in figures else []
    for k, (name, value) in enumerate(rows):
        _text(sheet, name, x, y + 26 * k, 0.46, FAINT)
        _text(sheet, value, x + 130, y + 26 * k, 0.46, INK)


def _percent(figures: dict[str, float], name: str) -> str:
    return f"{100 * figures[name]:.0f} %" if name in figures else "-"


def _bar(sheet: np.ndarray, name: str, share: float, value: str, x: int, y: int, enough: bool) -> None:
    import cv2

    long = 250
    colour = SIGNAL[GO] if enough else WARN_COLOUR
    _text(sheet, name, x, y, 0.46, INK if enough else WARN_COLOUR)
    _text(sheet, value, x + long - 9 * len(value), y, 0.46, INK if enough else WARN_COLOUR)
    for end, shade in ((long, LINE), (max(round(long * min(share, 1.0)), 3), colour)):
        cv2.rectangle(sheet, (x * FINER, (y + 7) * FINER), ((x + end) * FINER, (y + 13) * FINER), shade, -1)


def _legend(sheet: np.ndarray, x: int, y: int) -> None:
    long = 220
    _text(sheet, "never seen", x, y + 12, 0.44, FAINT)
    sheet[y * FINER:(y + 14) * FINER, (x + 92) * FINER:(x + 118) * FINER] = GREY
    _text(sheet, "seldom or at a slant", x + 142, y + 12, 0.44, FAINT)
    scale = ramp(np.linspace(0.07, 1, long * FINER))
    sheet[y * FINER:(y + 14) * FINER, (x + 300) * FINER:(x + 300 + long) * FINER] = scale.astype(np.uint8)
    _text(sheet, "often and from the front", x + 300 + long + 12, y + 12, 0.44, FAINT)


def _paste(sheet: np.ndarray, picture: np.ndarray, x: int, y: int) -> None:
    h, w = picture.shape[:2]
    sheet[y * FINER:y * FINER + h, x * FINER:x * FINER + w] = picture


def _text(sheet: np.ndarray, text: str, x: int, y: int, size: float, colour: Sequence[int],
          centred: bool = False) -> None:
    """Writes a line with its left end, or its middle, at x and its base at y (pixels of the finished picture)."""
    import cv2

    if centred:
        (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, size * FINER, FINER)
        x -= width // (2 * FINER)
    cv2.putText(sheet, text, (x * FINER, y * FINER), cv2.FONT_HERSHEY_DUPLEX, size * FINER, tuple(colour),
                max(1, round(0.7 * FINER)), cv2.LINE_AA)
