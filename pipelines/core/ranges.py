"""Frame numbers as text."""

from __future__ import annotations

import numpy as np


def ranges(flags: np.ndarray, most: int = 12) -> str:
    """Where flags (F,) bool are set, as text: `3-7, 12`; at most so many of them, the others are counted."""
    rows = np.flatnonzero(flags)
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(rows) else []
    texts = [f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs]
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")
