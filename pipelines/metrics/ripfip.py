"""rIPFIP: relative improvement in LPIPS over vid2vid, scaled by the factor of improvement in parameters."""

from __future__ import annotations

import math


def ripfip(lpips: float, parameters: float, v2v_lpips: float, v2v_parameters: float) -> float:
    """(LPIPS_v2v - LPIPS_x) / LPIPS_v2v * log(#p_v2v / #p_x) / log(#p_v2v); at most 1.

    lpips, parameters  of the method x; parameters are counted one by one, not in millions
    source             the paper, section 4.2, Model Efficiency. As printed, a method that is both worse and larger
                       than vid2vid scores above 0: the two negative factors cancel
    """
    if min(parameters, v2v_parameters) <= 1 or v2v_lpips <= 0:
        raise ValueError(f"expected parameters above 1 and LPIPS_v2v above 0, got {parameters:g}, "
                         f"{v2v_parameters:g} and {v2v_lpips:g}")
    return (v2v_lpips - lpips) / v2v_lpips * math.log(v2v_parameters / parameters) / math.log(v2v_parameters)
