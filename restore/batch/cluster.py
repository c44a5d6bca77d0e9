"""The same work on a Ray cluster, through Ray Data (https://docs.ray.io/en/latest/data/data.html).

The run itself stays on the machine where it was started: it reads the input, keeps what is done, and writes the output. Only
texts and outcomes travel. Parts go out in waves; each is one block of a Ray dataset, restored by one task, which Ray
gives to whatever core of the cluster is free, and again to another if that one is lost. Inside its task a part is
restored by a process like those of `restore.batch.processes`, kept for the next task, so that outcomes are the same.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from restore.batch.compression import NEEDS_EXTRA
from restore.batch.processes import Processes
from restore.batch.rows import Outcome, Part
from restore.errors import RestoreError
from restore.version import __version__

try:
    import pyarrow as pa
    import ray
    import ray.data
except ModuleNotFoundError as _error:
    raise RestoreError(NEEDS_EXTRA.format(what="a Ray cluster", name=_error.name, extra="ray")) from _error

NO_CLUSTER = "no Ray cluster answers at {address} ({why}); check the address, or start one with: ray start --head"
LOST = "the Ray cluster gave up ({why}); what was done so far is kept, so run the same command again"
OTHER_NODE = (
    "a node of the cluster has another engine ({found} instead of {wanted}); install the same release on all nodes"
)

PATIENCE = 10.0
"""Seconds that a cluster may take to answer."""
WAVE = 8
"""Parts in a wave for each core of the cluster: the cores that are done first wait for the last."""


class Cluster:
    """The workers of a Ray cluster. A context manager: it ends the connection, not the cluster.

    Args:
        options: the fields of the restorers' `Config`, as plain values; a path in them has to be good on every node.
        address: as `ray.init` takes it.

    Attributes:
        engine: the name of the engine with the checksum of its data, as it is on this machine.
    """

    def __init__(self, options: Mapping[str, Any], address: str) -> None:
        self._options = json.dumps(dict(options))
        self._address = address
        self.engine = ""

    def __enter__(self) -> Cluster:
        with Processes(json.loads(self._options), 1) as here:
            self.engine = here.engine
        try:
            _knock(self._address)
            ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            why = str(error).partition("\n")[0]
            raise RestoreError(NO_CLUSTER.format(address=self._address, why=why)) from error
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        return self

    def __exit__(self, *error: object) -> None:
        ray.shutdown()

    def restore(self, parts: Iterable[Part]) -> Iterator[tuple[Part, list[Outcome]]]:
        """Yield parts with the outcomes of their texts, wave by wave.

        Raises:
            RestoreError: the cluster is lost, or a node has other data.
        """
        rest = iter(parts)
        while wave := {part.index: part for part in islice(rest, WAVE * self._cores())}:
            yield from self._restore_wave(wave)

    def _cores(self) -> int:
        return max(1, int(ray.cluster_resources().get("CPU", 1)))

    def _restore_wave(self, wave: dict[int, Part]) -> Iterator[tuple[Part, list[Outcome]]]:
        blocks = [pa.table({"part": [index], "texts": [json.dumps(part.texts)]}) for index, part in wave.items()]
        work = ray.data.from_arrow(blocks).map_batches(
            _restore_block,
            batch_size=None,
            batch_format="pyarrow",
            fn_kwargs={"options": self._options, "engine": self.engine},
            num_cpus=1,
        )
        try:
            for row in work.iter_rows():
                if row["failed"]:
                    raise RestoreError(row["failed"])
                yield wave[row["part"]], [Outcome(*outcome) for outcome in json.loads(row["outcomes"])]
        except (ray.exceptions.RayError, ConnectionError) as error:
            raise RestoreError(LOST.format(why=str(error).strip().rpartition("\n")[2])) from error


def _knock(address: str) -> None:
    """Raise OSError if nobody is at `host:port`: Ray would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()


@lru_cache(maxsize=1)
def _processes(options: str, version: str) -> Processes:
    """Return this Ray worker's own restoring process, started once."""
    return Processes(json.loads(options), 1).__enter__()


def _restore_block(block: pa.Table, options: str, engine: str) -> pa.Table:
    """Restore the parts of one block, on whatever node this runs."""
    outcomes, failed = [], ""
    try:
        processes = _processes(options, __version__)
        if processes.engine != engine:
            raise RestoreError(OTHER_NODE.format(found=processes.engine, wanted=engine))
        for texts in block["texts"].to_pylist():
            outcomes.append(json.dumps(processes.restore_texts(json.loads(texts))))
    except RestoreError as error:
        failed = str(error)
    outcomes += ["[]"] * (block.num_rows - len(outcomes))
    return pa.table({"part": block["part"], "outcomes": outcomes, "failed": [failed] * block.num_rows})
