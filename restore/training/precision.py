"""What numbers a processor multiplies fastest."""

from __future__ import annotations

from typing import Any

import torch


def half_precision() -> bool:
    """Return whether this processor multiplies bfloat16 numbers by itself, at twice the speed of float32 and more."""
    cpu: Any = torch.cpu
    return bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())
