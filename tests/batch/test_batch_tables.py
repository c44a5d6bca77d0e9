"""Tables in and out: every row has its row, and nothing else changes."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import json
import lzma
import os
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restore import InputError, RestoreError
from restore.batch import Columns

from .conftest import FLAG

thorough = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
SIGNATURE = "version:"


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_json_lines_are_carried_byte_for_byte(run: Any, tmp_path: Path) -> None:
    line = b'{ "n":1.10000000000000000001, "text" : "abc", "big": %b, "deep": [{"a":null}] , "caf\\u00e9":"\xc3\xa9"}'
    line %= b"9" * 5000
    (tmp_path / "a.jsonl").write_bytes(line + b"\r\n")
    run(tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    out = (tmp_path / "b.jsonl").read_bytes()
    assert out.startswith(line[:-1] + b', "restored": "ABC", "confidence": ')
    assert out.endswith(b', "error": null}\n')


@pytest.mark.parametrize(
    ("line", "error", "carried"),
    [
        (b"not json", "not JSON", {"input": "not json"}),
        (b'{"text": "cut', "not JSON", {"input": '{"text": "cut'}),
        (b'{"text": "a\x00b"}', "not JSON", {"input": '{"text": "a\0b"}'}),
        (b'["text"]', "no object", {"input": '["text"]'}),
        (b"null", "no object", {"input": "null"}),
        (b"[" * 100_000, "not JSON", {"input": "[" * 100_000}),
        (b'{"id": 7}', "no field 'text'", {"id": 7}),
        (b"{ }", "no field 'text'", {}),
        (b'{"text": null, "id": 7}', "'text' is null", {"text": None, "id": 7}),
        (b'{"text": 3}', "'text' is a number", {"text": 3}),
        (b'{"text": true}', "'text' is true or false", {"text": True}),
        (b'{"text": ["a"]}', "'text' is a list", {"text": ["a"]}),
        (b'{"text": {"a": "b"}}', "'text' is an object", {"text": {"a": "b"}}),
        (b'{"text": "a", "text": "b"}', "2 fields 'text'", {"text": "b"}),
        (b'{"text": "a", "error": "b"}', "field 'error' already", {"input": '{"text": "a", "error": "b"}'}),
        (b'{"text": "caf\xe9"}', "byte 13 is not UTF-8", {"input": '{"text": "caf\\xe9"}'}),
        (b'{"text": "\\ud83d"}', "half a surrogate pair", {"text": "\ud83d"}),
        (b'{"text": "' + b"a" * 200_000 + b'"}', "200,013 bytes, more than the 150,000", {}),
        (b'{"text": "a", "n": NaN}', "not JSON (NaN is no JSON value)", {"input": '{"text": "a", "n": NaN}'}),
        (b'{"text": "boom"}', "the engine failed on it (ZeroDivisionError: as asked)", {"text": "boom"}),
    ],
)
def test_a_bad_line_is_reported_and_kept(run: Any, tmp_path: Path, line: bytes, error: str, carried: Any) -> None:
    good = b'{"text": "good"}\n'
    (tmp_path / "a.jsonl").write_bytes(good + line + b"\n\n" + good)
    progress, bad = run(tmp_path / "a.jsonl", tmp_path / "b.jsonl", max_bytes=150_000)
    first, row, last = lines(tmp_path / "b.jsonl")
    assert first["restored"] == last["restored"] == "GOOD"
    assert error in row.pop("error")
    assert row.pop("restored") is None
    for name in ("confidence", "flags", "kept", "repairs", "notes", "channel", "signature"):
        del row[name]
    assert row == carried
    assert bad == [f"row 2 (line 2): {message}" for message in [bad[0].partition(": ")[2]]]
    assert (progress.rows, progress.errors) == (3, 1)


def test_lines_end_at_line_feeds_only(run: Any, tmp_path: Path) -> None:
    texts = ["a\u2028b", "c\u2029d\x85e\x0bf", "g\rh", "i\nj", ""]
    data = "\ufeff\n  \n" + "\r\n\n".join(json.dumps({"text": text}, ensure_ascii=False) for text in texts)
    (tmp_path / "a.jsonl").write_text(data, encoding="utf-8", newline="")
    run(tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert [row["restored"] for row in lines(tmp_path / "b.jsonl")] == [text.upper() for text in texts]


def test_an_output_row_says_how_it_was_made(run: Any, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "ab", "flags": 1}\n')
    options = {"channel": "transcript", "beam": 3}
    run(tmp_path / "a.jsonl", tmp_path / "b.jsonl", text="body", output="prose", prefix="_", options=options)
    row = lines(tmp_path / "b.jsonl")[0]
    assert list(row) == [
        "body",
        "flags",
        "prose",
        "_confidence",
        "_flags",
        "_kept",
        "_repairs",
        "_notes",
        "_channel",
        "_signature",
        "_error",
    ]
    assert (row["prose"], row["_kept"], row["_repairs"], row["_notes"]) == ("AB", 0, 1, "short")
    assert (row["_channel"], row["_flags"]) == ("loud", [json.loads(json.dumps(FLAG.to_dict()))])
    for part in ("version:", "channel:transcript-", "engine:shouting:1", "beam:3", "repair:True"):
        assert part in row["_signature"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_flags_are_json_where_a_cell_is_text(run: Any, tmp_path: Path, kind: str) -> None:
    if kind == "csv":
        (tmp_path / "a.csv").write_text("text\nab\nlonger\n")
    else:
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"text": ["ab", "longer"]}), tmp_path / "a.parquet")
    run(tmp_path / f"a.{kind}", tmp_path / f"b.{kind}")
    if kind == "csv":
        with (tmp_path / "b.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
    else:
        rows = pq.read_table(tmp_path / "b.parquet").to_pylist()
    assert json.loads(rows[0]["flags"]) == [json.loads(json.dumps(FLAG.to_dict()))]
    assert [int(row["repairs"]) for row in rows] == [1, 0]
    assert not rows[1]["flags"]
    assert {row["channel"] for row in rows} == {"loud"}


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv", "a.parquet", "a"])
def test_an_empty_table_gives_an_empty_table(run: Any, table: Any, tmp_path: Path, name: str) -> None:
    table(tmp_path / name, [])
    (tmp_path / name).mkdir(exist_ok=True) if name == "a" else None
    progress, _ = run(tmp_path / name, tmp_path / name.replace("a", "b", 1))
    assert progress.rows == 0
    out = tmp_path / name.replace("a", "b", 1)
    if name == "a.csv":
        assert out.read_text().startswith("id,text,restored,confidence")
    elif name == "a.parquet":
        import pyarrow.parquet as pq

        assert pq.read_table(out).num_rows == 0
        assert pq.read_table(out).column_names[:3] == ["id", "text", "restored"]
    elif name == "a":
        assert [path.name for path in out.iterdir()] == ["_restore.jsonl"]
    else:
        assert (gzip.decompress(out.read_bytes()) if name.endswith(".gz") else out.read_bytes()) == b""


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@thorough
@given(
    rows=st.lists(st.tuples(cells, cells, cells), max_size=6),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
    bom=st.booleans(),
)
def test_any_csv_is_carried(
    run: Any, tmp_path_factory: Any, rows: list[tuple[str, ...]], quoting: int, end: str, bom: bool
) -> None:
    if (quoting, end) == (csv.QUOTE_MINIMAL, "\n"):  # then Python writes carriage returns without quoting them
        rows = [tuple(cell.replace("\r", "") for cell in row) for row in rows]
    folder = tmp_path_factory.mktemp("csv")
    stream = io.StringIO()
    csv.writer(stream, quoting=quoting, lineterminator=end).writerows([["a", "text", "a"], *rows])  # type: ignore[call-overload]
    (folder / "a.csv").write_bytes(b"\xef\xbb\xbf" * bom + stream.getvalue().encode())
    run(folder / "a.csv", folder / "b.csv")
    with (folder / "b.csv").open(encoding="utf-8", newline="") as out:
        found = list(csv.reader(out))
    assert found[0][:4] == ["a", "text", "a", "restored"]
    assert [row[:3] for row in found[1:]] == [list(row) for row in rows]
    assert [row[3] for row in found[1:]] == [row[1].upper() for row in rows]
    assert {row[-1] for row in found[1:]} <= {""}


@pytest.mark.parametrize(
    ("record", "error", "carried"),
    [
        (b"1,caf\xe9,x", "byte 5 is not UTF-8", ["1", "caf\\xe9", "x"]),
        (b"1,a,caf\xe9", "byte 7 is not UTF-8", ["1", "a", "caf\\xe9"]),
        (b"1,a", "2 cells instead of 3", ["1", "a", ""]),
        (b"1", "1 cells instead of 3", ["1", "", ""]),
        (b"1,a,b,c,d", "5 cells instead of 3", ["1", "a", "b,c,d"]),
        (b"1,a\rb,c", "not CSV", ["1,a\rb,c", "", ""]),
        (b'1,"' + b"a" * 3000 + b'",x', "3,007 bytes, more than the 2,000", ["", "", ""]),
        (b'1,"' + b"a\n" * 1500 + b'",x', "3,007 bytes, more than the 2,000", ["", "", ""]),
        (b"1,boom,x", "the engine failed", ["1", "boom", "x"]),
    ],
)
def test_a_bad_record_is_reported_and_kept(run: Any, tmp_path: Path, record: bytes, error: str, carried: Any) -> None:
    good = b'1,"go\n""od""",x\n'
    (tmp_path / "a.csv").write_bytes(b"id,text,more\n\n" + good + record + b"\n" + good)
    progress, bad = run(tmp_path / "a.csv", tmp_path / "b.csv", max_bytes=2000)
    with (tmp_path / "b.csv").open(encoding="utf-8", newline="") as out:
        _, first, row, last = csv.reader(out)
    assert first[3] == last[3] == 'GO\n"OD"'
    assert row[:3] == carried
    assert error in row[-1]
    assert row[3] == ""
    assert len(bad) == progress.errors == 1
    assert bad[0].startswith("row 2 (line 5): ")


def test_an_open_quotation_mark_takes_the_rest_and_says_so(run: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'id,text\n1,good\n2,"open\n' + b"3,lost\n" * 5)
    _, bad = run(tmp_path / "a.csv", tmp_path / "b.csv")
    assert bad == ["row 2 (line 3): it has a quotation mark that is never closed, so all lines up to 8 belong to it"]
    (tmp_path / "a.csv").write_bytes(b'id,text\n1,good\n2,"open\n' + b"3,lost\n" * 5000)
    _, bad = run(tmp_path / "a.csv", tmp_path / "b.csv", force=True, max_bytes=1000)
    assert bad == [
        "row 2 (line 3): it has 35,008 bytes, more than the 1,000 of --max-bytes; it has a quotation mark that is "
        "never closed, so all lines up to 5003 belong to it"
    ]


def test_tabs_separate_tsv(run: Any, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b'x\ttext\r\n1,2\t"a, b"\r\n')
    run(tmp_path / "a.tsv", tmp_path / "b.tsv")
    out = (tmp_path / "b.tsv").read_bytes()
    assert out.startswith(b"x\ttext\trestored\t")
    assert b'\r\n1,2\t"a, b"\tA, B\t' in out


@pytest.mark.parametrize(("name", "out"), [("a.csv", "b.tsv"), ("a.tsv", "b.csv.gz")])
def test_commas_and_tabs_are_not_mixed(run: Any, tmp_path: Path, name: str, out: str) -> None:
    (tmp_path / name).write_bytes(b"text\nofficial\n")
    with pytest.raises(InputError, match="has to be of the input's kind"):
        run(tmp_path / name, tmp_path / out)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.csv", b"", "is empty; its first line has to name the columns"),
        ("a.csv", b"\n\n", "is empty"),
        ("a.csv", b"id,body\n1,2\n", "no field 'text'; choose with --text-field among: 'id', 'body'"),
        ("a.csv", b"text,text\n1,2\n", "2 fields 'text'"),
        ("a.csv", b"text,error\n1,2\n", "has a field 'error' already"),
        ("a.csv", b'"text\n1,2\n', "cannot be read (it has a quotation mark that is never closed"),
        ("a.csv", b"caf\xe9,text\n1,2\n", "cannot be read"),
        ("a.csv", "text\n1".encode("utf-16"), "is in UTF-16"),
        ("a.jsonl", '{"text": "a"}'.encode("utf-16"), "is in UTF-16"),
        ("a.parquet", b"PAR1 not PAR1", "cannot be read"),
        ("a.parquet", b"", "cannot be read"),
        ("a.txt", b"abc", "is no table by its name"),
        ("a.parquet.gz", b"abc", "leave out .gz"),
        ("a.csv.gz", b"text\n1\n", "cannot be read"),
        ("a.jsonl.gz", b"", "cannot be read"),
        ("a.csv.xz", b"text\n1\n", "cannot be read"),
        ("a.csv.zst", b"text\n1\n", "cannot be read"),
    ],
)
def test_a_table_that_cannot_be_used(run: Any, tmp_path: Path, name: str, data: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=r"^[^\n]+$") as error:
        run(tmp_path / name, tmp_path / ("b" + name[1:]))
    assert says in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_parquet_columns_keep_their_types(run: Any, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    texts = ["ab", None, "boom", "cd", "ef"]
    carried = pa.table(
        {
            "text": pa.array(texts, pa.large_string()),
            "kind": pa.array(["x", "y", None, "x", "z"]).dictionary_encode(),
            "nested": pa.array([{"a": [1, 2]}, None, {"a": []}, {"a": None}, {"a": [3]}]),
            "when": pa.array([1, 2, 3, None, 5], pa.timestamp("us", "UTC")),
            "price": pa.array([None, "1.10", "2.20", "3.30", "4.40"]).cast(pa.decimal128(9, 2)),
            "raw": pa.array([b"\xff", b"", None, b"a", b"b"]),
        }
    ).replace_schema_metadata({"made": "by us"})
    carried = carried.append_column("kind", pa.array(range(5)))  # a name that is there twice
    pq.write_table(carried, tmp_path / "a.parquet", row_group_size=2)
    progress, bad = run(tmp_path / "a.parquet", tmp_path / "b.parquet", part_rows=3)
    file = pq.ParquetFile(tmp_path / "b.parquet")
    out = file.read()
    assert out.select(range(7)).equals(carried)
    assert out.schema.metadata[b"made"] == b"by us"
    assert out.column("restored").to_pylist() == ["AB", None, None, "CD", "EF"]
    assert out.column("kept").to_pylist() == [0, None, None, 0, 0]
    assert out.column("error").to_pylist()[1] == "its field 'text' is null, not text"
    assert file.num_row_groups == 1
    assert [message[:13] for message in bad] == ["row 2 (row 2)", "row 3 (row 3)"]
    assert progress.position == progress.total == 5


def test_parquet_carries_dictionaries_within_lists(run: Any, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    tables = []
    for tags in (["x", "y", "z"], ["q", "y", "r"]):
        column = pa.ListArray.from_arrays(pa.array(range(4), pa.int32()), pa.array(tags).dictionary_encode())
        tables.append(pa.table({"text": ["ab"] * 3, "tags": column}))
    with pq.ParquetWriter(tmp_path / "a.parquet", tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)
    run(tmp_path / "a.parquet", tmp_path / "b.parquet", part_rows=4)
    out = pq.read_table(tmp_path / "b.parquet")
    assert out.column("tags").to_pylist() == [["x"], ["y"], ["z"], ["q"], ["y"], ["r"]]
    assert out.schema.types[1] == tables[0].schema.types[1]


@pytest.mark.parametrize("kind", ["string", "string_view", "binary", "large_binary", "dictionary"])
def test_parquet_texts_of_every_type(run: Any, tmp_path: Path, kind: str) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    column = pa.array(["ab", "é"])
    column = column.dictionary_encode() if kind == "dictionary" else column.cast(getattr(pa, kind)())
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
    run(tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert pq.read_table(tmp_path / "b.parquet").column("restored").to_pylist() == ["AB", "É"]


def test_parquet_texts_that_are_none(run: Any, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="is of type int64, not text"):
        run(tmp_path / "a.parquet", tmp_path / "b.parquet")
    bad_utf8 = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"ab\xff")]
    )
    pq.write_table(pa.table({"text": bad_utf8}), tmp_path / "a.parquet")
    _, bad = run(tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert bad == ["row 2 (row 2): its byte 0 is not UTF-8"]


def test_a_field_has_a_name_that_can_be_written() -> None:
    with pytest.raises(RestoreError, match=r"^the name 'r\\udcff' of a new field is not UTF-8"):
        Columns(output="r\udcff")


def test_a_folder_gives_a_folder(run: Any, tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "b" / "deep").mkdir(parents=True)
    (source / "b" / "deep" / "x").write_text("no suffix")
    (source / "a.txt").write_text("\ufeffeins\n")
    (source / "c.txt.gz").write_bytes(gzip.compress(b"zwei"))
    (source / ".hidden").write_text("not this")
    (source / "bin").write_bytes(b"ab\0c")
    (source / "latin").write_bytes(b"caf\xe9")
    (source / "long").write_bytes(b"a" * 2000)
    (source / "broken.gz").write_bytes(gzip.compress(b"drei" * 100)[:-9])
    (source / "loop").symlink_to(source)
    (source / "link").symlink_to(source / "a.txt")
    (source / "nowhere").symlink_to(tmp_path / "gone")
    (source / "itself").symlink_to(source / "itself")
    os.mkfifo(source / "pipe")
    (source / "to pipe").symlink_to(source / "pipe")
    (source / "two\nlines").write_bytes(b"caf\xe9")
    with (source / os.fsdecode(b"na\xefve")).open("w") as file:
        file.write("vier")
    _, bad = run(source, tmp_path / "out", max_bytes=1000)
    assert sorted(message.partition(" (")[2] for message in bad) == [
        "bin): its byte 2 is a zero byte, so it is no text",
        "broken.gz): it cannot be read (the compressed data ends too early)",
        "itself): it cannot be read (Too many levels of symbolic links)",
        "latin): its byte 3 is not UTF-8",
        "long): it has 2,000 bytes, more than the 1,000 of --max-bytes",
        "nowhere): it cannot be read (No such file or directory)",
        "to pipe): it cannot be read (it is no regular file)",
        "two\\nlines): its byte 3 is not UTF-8",
    ]
    out = tmp_path / "out"
    assert (out / "a.txt").read_text() == (out / "link").read_text() == "EINS\n"
    assert not (out / "link").is_symlink()
    assert (out / "b" / "deep" / "x").read_text() == "NO SUFFIX"
    assert gzip.decompress((out / "c.txt.gz").read_bytes()) == b"ZWEI"
    assert (out / os.fsdecode(b"na\xefve")).read_text() == "VIER"
    rows = lines(out / "_restore.jsonl")
    assert [row["file"] for row in rows] == sorted(row["file"] for row in rows)
    assert len(rows) == 13
    assert sum(row["error"] is not None for row in rows) == 8
    assert "restored" not in rows[0]
    with pytest.raises(InputError, match="looks like an output"):
        run(out, tmp_path / "again")


def test_a_subfolder_that_cannot_be_read_is_named(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in"
    (source / "b").mkdir(parents=True)
    (source / "a.txt").write_text("eins")
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if Path(path).name == "b":  # a mode would not do: root may read anything
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("restore.batch.tables.folder.os.scandir", refusing)
    with pytest.raises(InputError, match=r"in/b: cannot be read \(Permission denied\)"):
        run(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_ten_thousand_files(run: Any, tmp_path: Path) -> None:
    source = tmp_path / "in"
    for folder in range(10):
        (source / f"{folder:02d}").mkdir(parents=True)
        for number in range(1000):
            (source / f"{folder:02d}" / f"{number:03d}").write_bytes(b"text %d" % number)
    progress, bad = run(source, tmp_path / "out", part_rows=32)
    assert (progress.rows, bad) == (10_000, [])
    assert sum(1 for _ in (tmp_path / "out").rglob("*")) == 10_011
    assert (tmp_path / "out" / "07" / "123").read_text() == "TEXT 123"


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.jsonl.gz"])
def test_a_line_of_100_megabytes_takes_no_memory(run: Any, tmp_path: Path, name: str) -> None:
    start, end = (b"text\ngood\n", b"\ngood\n") if "csv" in name else (b"", b'"}\n{"text": "good"}\n')
    opened: Any = gzip.open if name.endswith(".gz") else open
    with opened(tmp_path / name, "wb") as stream:
        stream.write(start)
        stream.write(b'{"text": "' if "csv" not in name else b"")
        for _ in range(100):
            stream.write(b"a" * 1_000_000)
        stream.write(end)
    tracemalloc.start()
    _, bad = run(tmp_path / name, tmp_path / ("b" + name[1:]), max_bytes=1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "bytes, more than the 1,000,000 of --max-bytes" in bad[0]
    assert len(bad) == 1
    assert peak < 20_000_000


def test_what_swells_is_unpacked_bit_by_bit(run: Any, tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    for suffix, pack in ((".gz", gzip.compress), (".xz", lzma.compress), (".zst", zstandard.compress)):
        (tmp_path / f"a.jsonl{suffix}").write_bytes(pack(bytes(100_000_000)))
        tracemalloc.start()
        _, bad = run(tmp_path / f"a.jsonl{suffix}", tmp_path / "b.jsonl", max_bytes=1000, force=True)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert "100,000,000 bytes" in bad[0]
        assert peak < 40_000_000


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_compressed_files(run: Any, table: Any, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = table(tmp_path / f"a.jsonl{suffix}", ["ab", "cd", "ef"])
    whole = source.read_bytes()
    run(source, tmp_path / f"b.jsonl{suffix}")
    monkeypatch.setattr(time, "time", lambda: 4e9)
    run(source, tmp_path / f"c.jsonl{suffix}")
    assert (tmp_path / f"b.jsonl{suffix}").read_bytes() == (tmp_path / f"c.jsonl{suffix}").read_bytes()
    source.write_bytes(whole + b"\0" * 8 + whole)  # several pieces, padded
    run(source, tmp_path / "d.jsonl")
    assert [row["id"] for row in lines(tmp_path / "d.jsonl")] == [0, 1, 2, 0, 1, 2]
    for damaged in (whole[:-1], whole[: len(whole) // 2], whole + b"garbage"):
        source.write_bytes(damaged)
        with pytest.raises(InputError, match=r"cannot be read \([^\n]+\)[^\n]*$"):
            run(source, tmp_path / "e.jsonl")
        assert not (tmp_path / "e.jsonl").exists()
