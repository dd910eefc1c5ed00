"""The network run by OpenVINO: bfloat16 on processors that have it, 1.3 to 2 times as fast as torch."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from pipelines.core.errors import AnrError
from pipelines.renderers.avatar import has_bfloat16
from pipelines.renderers.engines import Engine

STEP = 32                               # pictures are padded to multiples: few shapes, and none is prepared twice


def open_engine(renderer: torch.nn.Module, device: torch.device, texture_channels: int) -> Engine:
    """Converts the network once; AnrError where openvino is missing, and for a network on a graphics card."""
    try:
        import openvino
    except ImportError:
        raise AnrError("--engine openvino needs the package openvino, which is not installed.",
                       hint='pip install "anr[openvino]", or leave --engine away.') from None
    if device.type != "cpu":
        raise AnrError("--engine openvino computes on the processor.", hint="Add --device cpu, or leave --engine away.")
    multiple = int(renderer.multiple)   # type: ignore[arg-type]
    compiled = openvino.compile_model(_converted(openvino, renderer, texture_channels), "CPU", {
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "bf16" if has_bfloat16(device) else "f32"})
    request = compiled.create_infer_request()
    step = multiple * -(-STEP // multiple)

    def run(features: torch.Tensor, normal: torch.Tensor, inside: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        height, width = inside.shape[-2:]
        padding = (0, -width % step, 0, -height % step)
        padded = [torch.nn.functional.pad(x, padding).contiguous().numpy() for x in (features, normal, inside)]
        answer = request.infer(padded, share_inputs=True)
        rgb, mask_logit = (np.asarray(answer[k])[0, :, :height, :width] for k in (0, 1))
        alpha = 1.0 / (1.0 + np.exp(-mask_logit[0].astype(np.float32)))
        return np.clip((rgb.transpose(1, 2, 0) + 1.0) / 2.0, 0.0, 1.0).astype(np.float32), alpha

    return run


def _converted(openvino: Any, renderer: torch.nn.Module, texture_channels: int) -> Any:
    """The network for pictures of any size."""
    size = 4 * int(renderer.multiple)   # type: ignore[arg-type]
    channels = (texture_channels, 3, 1)
    example = tuple(torch.rand(1, count, size, size) for count in channels)
    plain = [([1, count, -1, -1], openvino.Type.f32) for count in channels]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                  # torch.jit.trace, which OpenVINO calls, is deprecated
        return openvino.convert_model(Answer(renderer), example_input=example, input=plain)


class Answer(torch.nn.Module):
    """Colours and mask alone: what is traced may not answer None, as renderers of one stage do for coarse colours."""

    def __init__(self, renderer: torch.nn.Module) -> None:
        super().__init__()
        self.renderer = renderer

    def forward(self, features: torch.Tensor, normal: torch.Tensor,
                inside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        predicted = self.renderer(features, normal, inside)
        return predicted.rgb, predicted.mask_logit
