"""The engine at work on rows: whatever a text does to it, each text has one outcome."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Protocol

from restore.batch.rows import Outcome
from restore.channel import get_channel
from restore.config import AUTO, Config
from restore.engines import SETTINGS
from restore.errors import ResourceError
from restore.evaluation.signature import channel_name
from restore.restoration import Restoration
from restore.restorer import Restorer
from restore.style import Style
from restore.version import __version__

FAILED = "the engine failed on it ({kind}: {why})"


class Restores(Protocol):
    """What a batch run asks of a restorer."""

    @property
    def engine(self) -> str:
        """The engine's name with the checksum of its data."""

    def restore(self, text: str) -> Restoration:
        """Restore one text."""

    def restore_many(self, texts: Iterable[str]) -> Iterable[Restoration]:
        """Restore texts, in order."""


def make_config(options: Mapping[str, Any]) -> Config:
    """Return a config from plain values, as they go from process to process: the terms as a list, the style as a dict.

    Raises:
        RestoreError: an option is out of its range.
    """
    style = Style(**options.get("style", {}))
    return Config(**{**options, "terms": tuple(options.get("terms", ())), "style": style})


def make_restorer(options: Mapping[str, Any]) -> Restorer:
    """Return a restorer with its model loaded.

    Raises:
        RestoreError: an option is out of its range, or a data file is missing or damaged.
    """
    restorer = Restorer(make_config(options))
    restorer.engine  # noqa: B018 (loads it)
    return restorer


def restore_rows(restorer: Restores, texts: Sequence[str]) -> list[Outcome]:
    """Restore texts together; if that fails, one by one, so that each answers for itself.

    Raises:
        ResourceError: a data file is missing or damaged, which is no text's fault.
    """
    try:
        return [_outcome(restoration) for restoration in restorer.restore_many(texts)]
    except ResourceError:
        raise
    except Exception:
        return [_restore_row(restorer, text) for text in texts]


def _restore_row(restorer: Restores, text: str) -> Outcome:
    try:
        return _outcome(restorer.restore(text))
    except ResourceError:
        raise
    except Exception as error:
        why = " ".join(str(error).split())[:200]
        return Outcome.failed(FAILED.format(kind=type(error).__name__, why=why))


def _outcome(restoration: Restoration) -> Outcome:
    confidence = restoration.confidence
    return Outcome(
        text=restoration.text,
        confidence=None if confidence is None else round(confidence, 6),
        flags=json.loads(json.dumps([flag.to_dict() for flag in restoration.flags])),
        kept=len(restoration.kept),
        repairs=len(restoration.repairs),
        notes="; ".join(restoration.notes) or None,
        channel=restoration.channel,
    )


def signature(options: Mapping[str, Any], engine: str) -> dict[str, Any]:
    """Return all that shapes a row's restored text: version, channel, engine with checksum, and options."""
    config = make_config(options)
    kind = engine.partition(":")[0]
    plain = ("channel", "engine", "model", "terms", "style")  # these stand here with their checksums, or in short
    return {
        "version": __version__,
        "channel": AUTO if config.channel == AUTO else channel_name(get_channel(config.channel)),
        "engine": engine,
        **{field.name: getattr(config, field.name) for field in fields(config) if field.name not in plain},
        "beam": config.beam or (SETTINGS[kind].beam if kind in SETTINGS else None),
        "terms": hashlib.sha256("\n".join(config.terms).encode()).hexdigest()[:8] if config.terms else None,
        "style": ",".join(f"{name}={value}" for name, value in vars(config.style).items() if value is not None) or None,
    }
