"""Whole tables: rows in, the same rows with their restored texts out, whatever happens on the way.

    source ─▶ table ─▶ parts ─▶ workers ─▶ store ─▶ output
                                 processes, or a Ray cluster

| box | module | what it knows |
|---|---|---|
| table | `tables/` | one module a format: rows in order, and how to write them again |
| parts | `rows` | what the boxes hand to each other |
| workers | `processes`, `worker`, `engine`; `cluster` | how texts are restored at once on many cores or machines |
| store | `store` | the parts that are done, kept in a folder beside the output |
| output | `output` | how the result gets to its place whole, over nothing that must stay |
| run | `runner` | puts the boxes in a row |
"""

from restore.batch.processes import Processes
from restore.batch.runner import Job, Progress, run_batch
from restore.batch.tables import Columns

__all__ = ["Columns", "Job", "Processes", "Progress", "run_batch"]
