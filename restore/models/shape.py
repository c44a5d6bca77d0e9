"""The dimensions of a Llama, as a bundle's card gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Shape:
    """The dimensions of a Llama.

    Attributes:
        layers: how many layers it has.
        width: the width of the residual stream.
        heads, groups, head_width: query heads, key-value heads, and the width of each.
        inner: the width between the gate and `down`.
        vocabulary: how many pieces it knows.
        positions: how many pieces a text may have, source included.
        theta: the base of the rotary angles.
        epsilon: what the norms add to the mean square.
    """

    layers: int
    width: int
    heads: int
    groups: int
    head_width: int
    inner: int
    vocabulary: int
    positions: int
    theta: float
    epsilon: float

    def as_dict(self) -> dict[str, Any]:
        """Return the dimensions as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Shape:
        """Read what `as_dict` gave.

        Raises:
            ValueError: a dimension is missing or is no positive number.
        """
        read = {field.name: values.get(field.name) for field in fields(cls)}
        for name, value in read.items():
            whole = name not in ("theta", "epsilon")
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or value <= 0:
                raise ValueError(f"{name} is {value!r}")
        return cls(**read)  # type: ignore[arg-type]


def rotations(shape: Shape) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the cosines and sines of rotary positions, each [positions, head width / 2]."""
    half = np.arange(0, shape.head_width, 2) / shape.head_width
    angles = np.outer(np.arange(shape.positions), shape.theta**-half)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
