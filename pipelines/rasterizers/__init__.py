"""Rasterizers: which triangle each pixel sees. `RASTERIZERS` names them; `cpu` is the reference."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from pipelines.core.errors import AnrError

# name -> module with `rasterize(verts, faces, camera, box) -> (face_index, bary, depth_m)` and `check()`, which raises
# AnrError where it cannot run; docs/maps.md says what pixels, weights and numbers mean
RASTERIZERS = {
    "cpu": "pipelines.rasterizers.cpu",
    "nvdiffrast": "pipelines.rasterizers.nvdiffrast",
}


def load_rasterizer(name: str) -> Callable:
    """The `rasterize` function of a rasterizer; AnrError where there is none of that name or it cannot run here."""
    if name not in RASTERIZERS:
        raise AnrError(f"There is no rasterizer called {name!r}.", hint=f"Choose one of: {', '.join(RASTERIZERS)}.")
    module = import_module(RASTERIZERS[name])
    module.check()
    return module.rasterize
