"""The floating-point type: an explicit one, or the one in which the hardware is fast."""

import pytest
import torch

from aar.models.language_model import choose_dtype
from tests.tiny_model import CPU


def test_an_explicit_precision_is_used() -> None:
    assert choose_dtype("float32", CPU) == torch.float32
    assert choose_dtype("bfloat16", CPU) == torch.bfloat16


@pytest.mark.parametrize(
    ("amx", "avx512", "expected"),
    [(True, False, torch.bfloat16), (False, True, torch.bfloat16), (False, False, torch.float32)],
)
def test_a_cpu_computes_in_bfloat16_only_with_instructions_for_it(
    amx: bool, avx512: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    assert choose_dtype("auto", CPU) == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_computes_in_bfloat16_where_it_has_it() -> None:
    capable = torch.cuda.get_device_capability() >= (8, 0)
    assert choose_dtype("auto", torch.device("cuda")) == (torch.bfloat16 if capable else torch.float32)
