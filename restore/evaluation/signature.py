"""Signatures: all that shaped a result, so that a number can be had again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from restore.channel import Channel
from restore.evaluation.whole import sacrebleu_version
from restore.version import __version__

SCORER = 1
"""Raised whenever a score's definition changes: results of different scorers do not compare."""


def channel_name(channel: Channel) -> str:
    """Return a channel's name with a digest of its definition, as users may define one of any name.

    >>> from restore.channel import get_channel
    >>> channel_name(get_channel("transcript")).split("-")[0]
    'transcript'
    """
    parts = []
    for part in fields(channel):
        value = getattr(channel, part.name)
        if part.name not in ("name", "about"):
            parts.append(f"{part.name}={sorted(value) if isinstance(value, frozenset) else value!r}")
    return f"{channel.name}-{hashlib.sha256('; '.join(parts).encode()).hexdigest()[:8]}"


def data_checksum(texts: Iterable[str]) -> str:
    """Return a SHA-256 over texts in order, as 16 hex digits."""
    digest = hashlib.sha256()
    for text in texts:
        block = text.encode("utf-8", "surrogatepass")
        digest.update(len(block).to_bytes(8, "big"))
        digest.update(block)
    return digest.hexdigest()[:16]


def make_signature(originals: Iterable[str], channel: Channel, engine: str, **options: Any) -> dict[str, Any]:
    """Return the signature of scores over these originals.

    Args:
        originals: the texts.
        channel: how they were stripped.
        engine: what restored them, with its data's checksum.
        options: whatever else shaped the result (`half`, `limit`, `seed`, `beam`, ...).
    """
    return {
        "version": __version__,
        "scorer": SCORER,
        "sacrebleu": sacrebleu_version(),
        "channel": channel_name(channel),
        "engine": engine,
        "data": data_checksum(originals),
        **options,
    }


def signature_line(signature: Mapping[str, Any]) -> str:
    """Return a signature on one line, as sacrebleu writes its own.

    >>> signature_line({"version": "0.1.0", "channel": "nltk-1c0ffee0", "half": "even"})
    'version:0.1.0|channel:nltk-1c0ffee0|half:even'
    """
    return "|".join(f"{name}:{value}" for name, value in signature.items() if value is not None)
