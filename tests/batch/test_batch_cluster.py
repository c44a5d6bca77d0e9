"""`restore batch --ray` on a real cluster of two nodes, which are two raylets on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from .conftest import Command

pytestmark = pytest.mark.cluster
TEXTS = [f"official said number {number} court ruled week" for number in range(160)] + ["", "6 000 men"]


class Nodes:
    """A cluster whose nodes are started and killed by hand."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        # A short name, as the paths of sockets in it are limited.
        self.scratch = Path("/tmp") / f"restore-ray-{os.getpid()}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._start("head", "--head", "--port", self.address.partition(":")[2], "--include-dashboard=false")
        self._start("second", "--address", self.address)

    def _start(self, name: str, *args: str) -> None:
        ray = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--block", "--num-cpus=1"]
        ray += ["--node-ip-address=127.0.0.1", "--object-store-memory=100000000", f"--node-name={name}"]
        ray += [f"--temp-dir={self.scratch}"] if name == "head" else []
        environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_MEMORY_MONITOR": "1"}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        log = (self.scratch.with_suffix(f".{name}.log")).open("wb")
        self.processes[name] = subprocess.Popen(
            [*ray, *args], stdout=log, stderr=log, env=environment, start_new_session=True
        )
        log.close()

    def wait(self, count: int) -> None:
        """Wait until so many nodes answer."""
        script = f"import ray; ray.init({self.address!r}, log_to_driver=False); print(len(ray.nodes()))"
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
            if done.stdout.strip() == str(count):
                return
            time.sleep(1)
        raise AssertionError(done.stderr)

    def kill(self, name: str) -> None:
        """Kill a node with all its workers, at once."""
        process = self.processes.pop(name)
        for pid in [process.pid, *descendants(process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()

    def workers(self, name: str) -> list[int]:
        """Return the processes of a node that run tasks."""
        found = []
        for pid in descendants(self.processes[name].pid):
            with suppress(OSError):
                name = Path(f"/proc/{pid}/cmdline").read_bytes()
                if name.startswith(b"ray::") and not name.startswith(b"ray::IDLE"):
                    found.append(pid)
        return found

    def close(self) -> None:
        for name in list(self.processes):
            self.kill(name)
        shutil.rmtree(self.scratch, ignore_errors=True)
        for log in self.scratch.parent.glob(f"{self.scratch.name}.*.log"):
            log.unlink()


def descendants(pid: int) -> list[int]:
    children = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            children += [int(child) for child in task.read_text().split()]
    return [found for child in children for found in (child, *descendants(child))]


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    pytest.importorskip("ray")
    cluster = Nodes()
    try:
        cluster.wait(2)
        yield cluster
    finally:
        cluster.close()


def started(command: Command, nodes: Nodes, source: Path, out: str, **options: Any) -> subprocess.Popen[bytes]:
    return command.start(source, "-o", out, "--ray", nodes.address, "--part-rows", 2, **options)


def wait_for_parts(folder: Path, process: subprocess.Popen[bytes], count: int) -> None:
    while len(list(folder.glob("parts/*/*"))) < count:
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        time.sleep(0.02)


def test_a_cluster_gives_the_same_whatever_is_killed(
    nodes: Nodes, command: Command, table: Any, content: Any, tmp_path: Path
) -> None:
    source = table(tmp_path / "t.jsonl", TEXTS)
    assert command(source, "-o", "whole.jsonl", "--part-rows", 2, "--workers", 2)[0] == 0

    process = started(command, nodes, source, "out.jsonl")
    folder = tmp_path / ".out.jsonl.restore-batch"
    wait_for_parts(folder, process, 4)
    while not (victims := nodes.workers("second")):  # both nodes are at work
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(victims[0], signal.SIGKILL)  # a worker
    wait_for_parts(folder, process, 20)
    nodes.kill("second")  # a whole node
    _, err = process.communicate(timeout=300)
    assert (process.returncode, err.decode().count("\n")) == (0, 1)
    assert content(tmp_path / "out.jsonl") == content(tmp_path / "whole.jsonl")

    # The run itself is killed, and goes on, first on the cluster and then on this machine alone.
    process = started(command, nodes, source, "again.jsonl")
    wait_for_parts(tmp_path / ".again.jsonl.restore-batch", process, 10)
    process.kill()
    process.communicate()
    process = started(command, nodes, source, "again.jsonl")
    wait_for_parts(tmp_path / ".again.jsonl.restore-batch", process, 30)
    process.kill()
    process.communicate()
    status, err = command(source, "-o", "again.jsonl", "--part-rows", 2)
    assert (status, "of them by an earlier run" in err) == (0, True)
    assert content(tmp_path / "again.jsonl") == content(tmp_path / "whole.jsonl")


def test_no_cluster_is_one_line(command: Command, table: Any, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    source = table(tmp_path / "t.jsonl", TEXTS)
    status, err = command(source, "-o", "out.jsonl", "--ray", "127.0.0.1:1")
    assert (status, err.count("\n")) == (1, 1)
    assert "no Ray cluster answers at 127.0.0.1:1" in err
