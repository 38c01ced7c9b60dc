"""Which floating-point type a model runs in on this machine."""

from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def choose_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware computes in it, float32 elsewhere; "auto" decides, anything else is taken as said.

    A CPU without bfloat16 instructions emulates them several times slower than it computes in float32.
    """
    if precision != "auto":
        return torch.bfloat16 if precision == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    fast_on_cpu = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast_on_cpu else torch.float32
