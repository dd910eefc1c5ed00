"""What a picture's size asks of this machine's memory."""

from __future__ import annotations

import os
from pathlib import Path

from pipelines.core.errors import AnrError

GB = 1e9
LOADED_BYTES = 0.3e9                    # what torch prepares for the first picture, of whatever size
# Bytes per pixel of the box at the network's peak: 400-530 measured of the draft network in bfloat16 (from 256x256 to
# 1024x1536), and what waits before and after it.
BYTES_PER_PIXEL = 900.0
PICTURE_BYTES_PER_PIXEL = 60.0          # of the whole picture: backgrounds, composites, the encoder's own frames
BODY_SHARE = 0.5                        # of a picture, at most, that the box around a standing person covers
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
CGROUP_USED = (Path("/sys/fs/cgroup/memory.current"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"))


def check_memory(width: int, height: int, captured_pixels: int = 0, network_factor: float = 1.0) -> None:
    """AnrError where pictures of this size would not fit into the memory that is free.

    captured_pixels  of the recording: the network works at about its size; 0 = not known, so the pictures alone count
    network_factor   how much wider than the draft network the one to be run is
    """
    needed, free = bytes_needed(width, height, captured_pixels, network_factor), free_bytes()
    if free is not None and needed > free:
        fixed = needed - width * height * PICTURE_BYTES_PER_PIXEL
        fitting = int((max(0.0, free - fixed) / (needed - fixed)) ** 0.5 * height) // 16 * 16
        raise AnrError(f"Pictures of {width}x{height} need about {needed / GB:.1f} GB of memory; {free / GB:.1f} GB "
                       "are free.",
                       hint=f"Use --size {fitting} or less." if fitting >= 64 else "Close what else takes memory.")


def bytes_needed(width: int, height: int, captured_pixels: int = 0, network_factor: float = 1.0) -> float:
    """About how much memory rendering takes at its peak, besides what the program has loaded."""
    network = captured_pixels * BODY_SHARE * BYTES_PER_PIXEL * network_factor
    return LOADED_BYTES + width * height * PICTURE_BYTES_PER_PIXEL + network


def free_bytes() -> float | None:
    """Memory that can be had: of the machine, or of the container where that has less; None = this system tells not."""
    found = [size for size in (_machine_free(), _container_free()) if size is not None]
    return min(found) if found else None


def _machine_free() -> float | None:
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * float(line.split()[1])
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return None


def _container_free() -> float | None:
    for limit, used in zip(CGROUP_LIMITS, CGROUP_USED):
        try:
            return float(int(limit.read_text()) - int(used.read_text()))
        except (OSError, ValueError):                   # none here, or "max"
            continue
    return None
