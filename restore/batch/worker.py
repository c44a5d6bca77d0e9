"""A process that restores: it reads texts as lines of JSON and answers each line with one.

    first line    the options of the restorer                      answer   {"engine": name} or {"failed": why}
    then          [texts]                                          answer   {"rows": [outcomes]} or {"failed": why}

It ends when its input ends, at once, even in the middle of a text: whoever started it has gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any

from restore.errors import RestoreError


def main() -> None:
    """Serve standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the run as a whole
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what some library prints must not get among the answers
    requests: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    try:
        from restore.batch.engine import make_restorer, restore_rows

        restorer = make_restorer(json.loads(requests.get()))
        _answer(answers, {"engine": restorer.engine})
        while True:
            _answer(answers, {"rows": restore_rows(restorer, json.loads(requests.get()))})
    except RestoreError as error:
        _answer(answers, {"failed": str(error)})


def _listen(stream: IO[bytes], requests: SimpleQueue[bytes]) -> None:
    while line := stream.readline():
        requests.put(line)
    os._exit(0)


def _answer(stream: IO[bytes], answer: dict[str, Any]) -> None:
    try:
        stream.write(json.dumps(answer).encode() + b"\n")
        stream.flush()
    except BrokenPipeError:
        os._exit(0)
