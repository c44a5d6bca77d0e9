"""How many cores there are for us."""

from __future__ import annotations

import os
from pathlib import Path


def usable_cores(limit: str | os.PathLike[str] = "/sys/fs/cgroup/cpu.max") -> int:
    """Return how many cores this process may use: by its affinity, and by its container's limit on processor time.

    Args:
        limit: the file with that limit, as Linux shows it: microseconds in each period, and the period ("200000 100000").
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = os.cpu_count() or 1
    try:
        quota, period = Path(limit).read_text(encoding="ascii").split()
        return max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no limit ("max"), or none that can be read
        return cores
