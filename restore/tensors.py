"""Read and write safetensors files (https://huggingface.co/docs/safetensors) with numpy alone.

Such a file is the length of its header (eight bytes, little-endian), the header (JSON: each array's name, type, shape,
and place in what follows), and the arrays, raw and little-endian. Reading maps the file: nothing is copied.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from restore.bundle import BAD_FILE
from restore.errors import ResourceError

Array = npt.NDArray[Any]

_TYPES = {"U8": "<u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "I32": "<i4", "I64": "<i8", "F32": "<f4", "F64": "<f8"}


def map_tensors(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Map the arrays of a safetensors file into memory, read-only.

    Raises:
        ResourceError: the file is missing, its header is not sound, or an array lies outside the file.
    """
    try:
        raw = np.memmap(path, dtype=np.uint8, mode="r").view(np.ndarray)
        length = int.from_bytes(raw[:8].tobytes(), "little")
        if not 2 <= length <= raw.size - 8:
            raise ValueError("its header is longer than the file")
        header = json.loads(raw[8 : 8 + length].tobytes())
        return {
            name: _array(raw[8 + length :], name, entry) for name, entry in header.items() if name != "__metadata__"
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        why = getattr(error, "strerror", None) or f"not a sound safetensors file ({error})"
        raise ResourceError(BAD_FILE.format(path=os.fspath(path), why=why)) from error


def _array(body: npt.NDArray[np.uint8], name: str, entry: Mapping[str, Any]) -> Array:
    start, end = entry["data_offsets"]
    kind = np.dtype(_TYPES[entry["dtype"]])
    if not 0 <= start <= end <= body.size or end - start != math.prod(entry["shape"]) * kind.itemsize:
        raise ValueError(f"array {name!r} lies outside the file")
    return body[start:end].view(kind).reshape(entry["shape"])


def write_tensors(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write arrays as a safetensors file; the same arrays give the same bytes. Wider types come first, so all are aligned."""
    kinds = {np.dtype(kind): name for name, kind in _TYPES.items()}
    header: dict[str, Any] = {}
    blocks, place = [], 0
    for name, array in sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        data = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        header[name] = {
            "dtype": kinds[data.dtype],
            "shape": list(data.shape),
            "data_offsets": [place, place + data.nbytes],
        }
        place += data.nbytes
        blocks.append(data)
    packed = json.dumps(header, separators=(",", ":")).encode()
    packed += b" " * (-len(packed) % 8)
    with open(path, "wb") as stream:
        stream.write(len(packed).to_bytes(8, "little"))
        stream.write(packed)
        for block in blocks:
            stream.write(block.tobytes())
