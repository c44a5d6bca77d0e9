"""Make the seeds again: `python tests/fuzz/make_corpus.py`. Finds that were fixed are kept beside them as `find-*`."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from run import CORPUS
from targets import SPLIT

from restore import channel_names, get_channel
from restore.bundle import resources_folder
from restore.models.network import SCALE, pack
from restore.tensors import write_tensors
from restore.training.lexicon import build_lexicon
from restore.training.ngram import train

PROSE = """The U.S. has deported 6,000 men, but their families don't know where they're being held.
"They were among nearly 6,000 men," O'Rourke said at 3:30 p.m. on Nov. 5 (a Thursday). Officials re-entered AT&T.
The customs officials said that the non-violent men needed help -- their uses of the houses' keys were over.
"""
HOSTILE = (
    "they being can us u uses s don I café Orfèvres 6 000 a.m. a@b.example İ ß ﬁ Ǆ 東京 \u202e \u0301 -- ... "
    "polici wa ha aes ves"
)


def texts() -> Iterator[tuple[str, bytes]]:
    """Yield seeds that are a channel and a text."""
    for number, name in enumerate(channel_names()):
        channel = get_channel(name)
        yield name, bytes([number]) + (channel.strip(PROSE) + " " + HOSTILE).encode()
    yield "prose", b"\0" + PROSE.encode()
    yield "typos", b"\0u imigration oficial responsibity morea judg rulled nonviolent thecourt francisco padila"


def tables() -> Iterator[tuple[str, bytes]]:
    """Yield seeds that are tables of every kind."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import zstandard

    rows = [{"id": 1, "text": "official said"}, {"text": "6 000 men"}, {"id": 3, "text": None}, {"id": 4}]
    lines = "\n\n".join(json.dumps(row) for row in rows).encode() + b"\nnot json\n[1]"
    records = b'id,text,more\n1,"official ""said""\nweek",x\n2,court,"a,b"\n\n3,short\n'
    yield "jsonl", b"\0" + lines
    yield "csv", b"\1\xef\xbb\xbf" + records
    yield "tsv", b"\2" + records.replace(b",", b"\t").replace(b"\n", b"\r\n")
    yield "jsonl-gz", b"\3" + gzip.compress(lines, mtime=0) + gzip.compress(lines, mtime=0)
    yield "csv-xz", b"\4" + lzma.compress(records)
    yield "jsonl-zst", b"\5" + zstandard.compress(lines)
    nested = pa.table({"id": [1, 2, None], "text": ["official", None, "court"], "list": [[{"a": 1}], [], None]})
    words = pa.table({"text": pa.array(["a", "b", "a"] * 9).dictionary_encode()})
    for name, table in (("parquet", nested), ("parquet-words", words)):
        stream = io.BytesIO()
        pq.write_table(table, stream, row_group_size=4)
        yield name, b"\6" + stream.getvalue()
    yield "folder", b"\7" + b"official said\n\ncourt ruled"
    yield "folder-gz", b"\7" + gzip.compress(b"official said", mtime=0)


DEFINITION = """
name = "ours"
characters = "[A-Za-z0-9]"
keep = "'-"
lowercase = true
stop_list = "nltk"
stop_words = ["said", "mr"]
stop_file = "ours.txt"
min_length = 2
numbers = false
map = "porter"
order = "map-drop"
"""


def main() -> None:
    """Write all seeds."""

    def write(target: str, name: str, data: bytes) -> None:
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        if len(data) > 20_000:
            name, data = f"{name}.packed", gzip.compress(data, mtime=0)
        (CORPUS / target / name).write_bytes(data)

    for name, data in texts():
        for target in ("channel", "lattice", "decoder", "repair"):
            write(target, name, data)
    write("page", "hostile", (HOSTILE + ' <b onclick="x">&amp;</script> they\n\nnon citizen').encode())
    write("definition", "toml", DEFINITION.encode())
    for name, data in tables():
        write("batch", name, data)
    entry = {"sha256": "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7", "bytes": 4}
    card = {"format": "restore-test", "version": 1, "about": "", "files": {"data.txt": entry}}
    write("bundle", "card", json.dumps(card, indent=2).encode())

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        text = folder / "text.txt"
        text.write_text((PROSE + "%%%\n") * 3)
        build_lexicon([text], folder / "lexicon", short_parts=frozenset({"re", "s"}))
        train([text], folder / "ngram", order=4, vocabulary=80, cutoffs=(0, 0, 0))
        lexicon = (folder / "lexicon" / "lexicon.safetensors").read_bytes()
        write("lexicon", "small", lexicon)
        write(
            "ngram",
            "small",
            SPLIT.join((folder / "ngram" / n).read_bytes() for n in ("vocabulary.txt", "ngram.safetensors")),
        )
        few = folder / "few.safetensors"
        write_tensors(few, {"a": np.arange(6, dtype=np.uint16).reshape(2, 3), "b.c": np.zeros(0, np.float32)})
        write("tensors", "few", few.read_bytes())
        write("tensors", "lexicon", lexicon)
        arrays = {
            "weights": np.full(1 << 18, 128, np.uint8),
            "scale": np.ones(1, np.float32),
            "bias": np.zeros(1, np.float32),
        }
        write_tensors(few, arrays)
        write("cues", "flat", few.read_bytes())
        weight = pack(np.arange(12, dtype=np.int8).reshape(4, 3))
        scales = {"words" + SCALE: np.ones((4, 1), np.float32), "0.qkv" + SCALE: np.ones((1, 3), np.float32)}
        write_tensors(few, {"words": weight, "0.qkv": weight, "norm": np.ones(3, np.float32), **scales})
        write("tagger", "small", few.read_bytes())
    part = {"lemmas": "official man be good", "exceptions": {"men": ["man"], "is": ["be"], "better": ["good", "well"]}}
    write("wordnet", "small", gzip.compress(json.dumps(dict.fromkeys("nvar", part)).encode(), mtime=0))
    write("stopwords", "few", b"the\nof\ndon\n")
    for name in ("detection", "calibration"):
        write(name, "table", (resources_folder() / name / f"{name}.json").read_bytes())


if __name__ == "__main__":
    main()
