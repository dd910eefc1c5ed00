"""pymatting: the closed-form system of a band of pixels, and foreground colours."""

from __future__ import annotations

import numpy as np

EPSILON = 1e-5                          # how far light may stray from a line within 3x3 pixels
TOLERANCE = 1e-4                        # of the solver; 1e-7 changes no alpha by more than 0.002
SMOOTHNESS = 3e-3                       # how much foreground colours lean on their neighbours'


def solve_band(light: np.ndarray, unknown: np.ndarray, alpha: np.ndarray, lean: np.ndarray,
               weight: np.ndarray) -> np.ndarray:
    """(N,) alpha of the N unknown pixels: the reduced linear system, by preconditioned conjugate gradients.

    light         (H, W, 3) 0..1
    unknown       (H, W) bool; elsewhere `alpha` (H, W) is known
    lean, weight  (H, W) an alpha each unknown pixel leans to, and how much
    source        Levin, Lischinski and Weiss, A closed-form solution to natural image matting, PAMI 2008, eq. 12 to 14;
                  the leaning is a second quadratic term
    """
    from pymatting import cf_laplacian, cg, ichol
    from scipy.sparse import diags

    rows = np.flatnonzero(unknown)
    laplacian = cf_laplacian(light.astype(np.float64), EPSILON, 1, is_known=~unknown.ravel())[rows]
    pull = weight.ravel()[rows].astype(np.float64)
    system = (laplacian[:, rows] + diags(pull)).tocsc()
    wanted = pull * lean.ravel()[rows] - laplacian @ alpha.ravel().astype(np.float64)
    return cg(system, wanted, M=ichol(system), rtol=TOLERANCE, maxiter=2000)


def foreground_light(light: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H, W, 3) the foreground's part of light (H, W, 3) in 0..1 that alpha (H, W) mixes with a background.

    source  Germer et al., Fast multi-level foreground estimation, ICPR 2020
    """
    from pymatting import estimate_foreground_ml

    return estimate_foreground_ml(light.astype(np.float64), alpha.astype(np.float64), regularization=SMOOTHNESS)
