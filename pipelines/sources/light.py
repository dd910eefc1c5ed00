"""What a stored video picture needs before it can be shown as sRGB: two fields made one, high dynamic range mapped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

HDR = {16: "PQ", 18: "HLG"}             # ITU-T H.273, table 3: transfer characteristics that hold more than sRGB does
WEAVE = "bwdif=mode=send_frame"
TO_SRGB = "scale=in_color_matrix=bt2020:out_transfer=iec61966-2-1:out_primaries=bt709:out_range=pc:intent=perceptual"


def steps_for(decoded: Any) -> tuple[list[str], list[str]]:
    """(FFmpeg filters that the clip of this picture needs, sentences on what that means for the person).

    Where this FFmpeg cannot map high dynamic range (before 7.1), its colours stay as they are, and that is said.
    """
    steps, notes = [], []
    if decoded.interlaced_frame:
        steps.append(WEAVE)
        notes.append("The clip is interlaced; its two fields were made one picture each, which costs sharpness.")
    kind = HDR.get(int(decoded.color_trc))
    if kind and _works(TO_SRGB):
        steps += [TO_SRGB, "format=rgb24"]
        notes.append(f"The clip is HDR ({kind}); its light was mapped to sRGB, so very bright parts are paler than "
                     "they were. Film without HDR for the truest colours.")
    elif kind:
        notes.append(f"The clip is HDR ({kind}), which this FFmpeg cannot map to sRGB: its colours come out pale. "
                     "Film without HDR, or convert the clip (HandBrake and phones' own editors can).")
    return steps, notes


def filtered(pictures: Iterable[Any], steps: list[str]) -> Iterator[Any]:
    """The pictures through FFmpeg's filters, one out for one in, times kept."""
    import av

    graph: Any = None
    for decoded in pictures:
        if graph is None:
            graph = _graph(decoded, steps)
        graph.push(decoded)
        yield from _ready(graph)
    if graph is not None:
        graph.push(None)
        try:
            yield from _ready(graph)
        except av.error.EOFError:
            return


def _ready(graph: Any) -> Iterator[Any]:
    import av

    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _graph(decoded: Any, steps: list[str]) -> Any:
    from av.filter import Graph

    graph = Graph()
    last = graph.add_buffer(width=decoded.width, height=decoded.height, format=decoded.format,
                            time_base=decoded.time_base or Fraction(1, 1000))
    for step in [*steps, "buffersink"]:
        name, _, arguments = step.partition("=")
        added = graph.add(name, arguments) if arguments else graph.add(name)
        last.link_to(added)
        last = added
    graph.configure()
    return graph


def _works(step: str) -> bool:
    """Whether this FFmpeg knows all options of a filter."""
    import av
    from av.filter import Graph

    name, _, arguments = step.partition("=")
    try:
        Graph().add(name, arguments)
    except (av.error.FFmpegError, ValueError):
        return False
    return True
