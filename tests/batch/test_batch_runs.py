"""Runs that are broken off, and outputs that must not be touched."""

from __future__ import annotations

import errno
import gc
import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

from restore import InputError, RestoreError
from restore.batch import Job, run_batch

from .conftest import KINDS

TEXTS = [f"text number {number}" for number in range(9)] + ["boom", ""]


@pytest.fixture(params=KINDS)
def source(request: Any, table: Any, tmp_path: Path) -> Path:
    path: Path = table(tmp_path / request.param, TEXTS)
    return path


def out_of(source: Path, name: str = "out") -> Path:
    return source.with_name(name + source.name.removeprefix("t"))


def work_folder(target: Path) -> Path:
    return target.with_name(f".{target.name}.restore-batch")


def remnants(target: Path) -> list[Path]:
    """Return what a run has left beside its output: its folder, also by the name that it has while it is removed."""
    return list(target.parent.glob(f".{target.name}.restore-batch*"))


def test_goes_on_where_it_was(run: Any, content: Any, source: Path) -> None:
    whole, broken = out_of(source, "whole"), out_of(source, "broken")
    progress, bad = run(source, whole)
    assert (progress.rows, progress.errors, len(bad)) == (11, 1, 1)
    assert progress.position == progress.total or ".zst" in source.name or ".gz" in source.name or ".xz" in source.name
    for stop in (0, 1, 1, 2):
        with pytest.raises(KeyboardInterrupt):
            run(source, broken, stop=stop)
        assert not broken.exists()
    progress, _ = run(source, broken)
    assert (progress.rows, progress.kept_rows, progress.errors) == (11, 8, 1)
    assert content(broken) == content(whole)
    assert not work_folder(broken).exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a copy of this process")
@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("source", ["t.csv.zst", "t.parquet", "folder"], indirect=True)
def test_killed_at_every_step(run: Any, content: Any, source: Path, force: bool) -> None:
    """The process ends, as if killed, before the first, second, third... change that it makes to the file system."""
    whole, broken = out_of(source, "whole"), out_of(source, "broken")
    run(source, whole, part_rows=6)
    for step in range(200):
        if force:
            shutil.rmtree(broken) if broken.is_dir() else broken.unlink(missing_ok=True)
            old = broken if broken.suffix else broken / "part0" / "000.txt"
            old.parent.mkdir(parents=True, exist_ok=True)
            old.write_text("old")
        steps = os.waitstatus_to_exitcode(run_until(step, lambda: run(source, broken, part_rows=6, force=force)))
        if steps == 0:
            break
        assert steps == 9
        if not broken.exists() or remnants(broken) or content(broken) != content(whole):
            run(source, broken, part_rows=6, force=force)
        assert content(broken) == content(whole)
        assert not remnants(broken)
        if not force:
            shutil.rmtree(broken) if broken.is_dir() else broken.unlink()
    assert 10 < step < 100
    assert content(broken) == content(whole)


def run_until(step: int, work: Any) -> int:
    """Run something in a copy of this process that ends at the so many-th change to the file system."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    gc.disable()
    left = step

    def counted(name: str) -> None:
        real = getattr(os, name)

        def change(*args: Any, **options: Any) -> Any:
            nonlocal left
            if left == 0:
                os._exit(9)
            left -= 1
            return real(*args, **options)

        setattr(os, name, change)

    for name in ("mkdir", "rename", "replace", "link", "unlink", "rmdir", "fsync"):
        counted(name)
    try:
        work()
    except BaseException:
        os._exit(1)
    os._exit(0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"options": {"beam": 4}}, "beam None, now 4"),
        ({"options": {"channel": "transcript"}}, "channel nltk-"),
        ({"part_rows": 3}, "part_rows 2, now 3"),
        ({"output": "prose"}, "output_field restored, now prose"),
        ({"max_bytes": 100}, "max_bytes 1000000, now 100"),
    ],
)
def test_does_not_go_on_with_other_options(run: Any, table: Any, tmp_path: Path, options: Any, says: str) -> None:
    source, target = table(tmp_path / "t.jsonl", TEXTS), tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run(source, target, stop=2)
    with pytest.raises(RestoreError, match=r"unfinished run with other options [^\n]+$") as error:
        run(source, target, **options)
    assert says in str(error.value)
    assert run(source, target)[0].kept_rows == 4


@pytest.mark.parametrize("change", ["first row", "last row", "fewer rows", "more rows", "other name"])
def test_does_not_go_on_with_another_input(run: Any, table: Any, tmp_path: Path, source: Path, change: str) -> None:
    target = out_of(source)
    with pytest.raises(KeyboardInterrupt):
        run(source, target, stop=5 if change == "fewer rows" else 4)
    texts = TEXTS.copy()
    if change == "first row":
        texts[0] = "other"
    elif change == "last row":
        texts[-1] = "other"  # it was not done yet, but a Parquet file is known by all its bytes
    elif change == "fewer rows":
        texts = texts[:-1] if source.suffix == ".parquet" else texts[:8]
    elif change == "more rows":
        texts.append("more")
    shutil.rmtree(source) if source.is_dir() else source.unlink()
    table(source, texts)
    if change == "other name":
        moved = source.with_name("u" + source.name)
        source.rename(moved)
        assert run(moved, target)[0].kept_rows == 8
    elif change in ("last row", "more rows") and source.suffix != ".parquet":
        assert run(source, target)[0].kept_rows > 0
        assert run(source, out_of(source, "whole"))[0].kept_rows == 0
    else:
        with pytest.raises(
            InputError, match=r"has changed since the unfinished run [^\n]+, in rows \d+ to \d+; [^\n]+$"
        ):
            run(source, target)
        shutil.rmtree(work_folder(target))
        run(source, target)


def test_a_damaged_part_is_made_again(run: Any, content: Any, source: Path) -> None:
    whole, broken = out_of(source, "whole"), out_of(source, "broken")
    run(source, whole)
    with pytest.raises(KeyboardInterrupt):
        run(source, broken, stop=5)
    parts = sorted((work_folder(broken) / "parts").rglob("0*[0-9]"))
    files = [part for part in parts if part.is_file()]
    data = files[0].read_bytes()
    files[0].write_bytes(data[:-1])
    files[1].write_bytes(files[1].read_bytes().replace(b"NUMBER", b"NUMBEr"))
    files[2].write_bytes(b"")
    files[3].write_bytes(b"[" * 10_000)
    assert run(source, broken)[0].kept_rows == 1
    assert content(broken) == content(whole)


def test_strict_stops_and_keeps_what_was_done(run: Any, table: Any, content: Any, tmp_path: Path) -> None:
    source, target = table(tmp_path / "t.jsonl", TEXTS), tmp_path / "out.jsonl"
    for _ in range(2):
        with pytest.raises(RestoreError, match=r"^row 10 \(line 10\): the engine failed [^\n]*\(--strict\)"):
            run(source, target, strict=True)
        assert not target.exists()
    assert run(source, target)[0].kept_rows > 0
    target.unlink()
    with pytest.raises(KeyboardInterrupt):  # the bad row is in a part that was kept by a run that was not strict
        run(source, target, stop=5)
    with pytest.raises(RestoreError, match=r"^row 10 "):
        run(source, target, strict=True)


def test_nothing_is_overwritten_by_surprise(run: Any, table: Any, tmp_path: Path) -> None:
    source, target = table(tmp_path / "t.jsonl", TEXTS), tmp_path / "out.jsonl"
    target.write_text("mine")
    with pytest.raises(InputError, match="is there already; give --force"):
        run(source, target)
    assert target.read_text() == "mine"
    run(source, target, force=True)
    assert target.read_text() != "mine"


def test_links_are_not_followed_to_what_they_name(run: Any, table: Any, tmp_path: Path) -> None:
    source, mine = table(tmp_path / "t.jsonl", TEXTS), tmp_path / "mine.jsonl"
    mine.write_text("mine")
    for name, to in (("link.jsonl", mine), ("nowhere.jsonl", tmp_path / "new.jsonl")):
        link = tmp_path / name
        link.symlink_to(to)
        with pytest.raises(InputError, match="is there already"):
            run(source, link)
        run(source, link, force=True)
        assert not link.is_symlink()
    assert mine.read_text() == "mine"
    assert not (tmp_path / "new.jsonl").exists()
    work_folder(tmp_path / "out.jsonl").symlink_to(tmp_path)
    with pytest.raises(RestoreError, match="is not a working folder"):
        run(source, tmp_path / "out.jsonl")


def test_links_within_an_output_folder_are_not_followed(run: Any, table: Any, tmp_path: Path) -> None:
    source, out, mine = table(tmp_path / "in", TEXTS), tmp_path / "out", tmp_path / "mine"
    out.mkdir()
    mine.mkdir()
    (out / "part1").symlink_to(mine)
    (out / "other").write_text("other")
    with pytest.raises(InputError, match="is there already"):
        run(source, out)
    with pytest.raises(RestoreError, match="is a link, which is not followed"):
        run(source, out, force=True)
    assert list(mine.iterdir()) == []
    (out / "part1").unlink()
    run(source, out, force=True)
    assert (out / "other").read_text() == "other"
    assert (out / "part1" / "004.txt").read_text() == "TEXT NUMBER 4"


@pytest.mark.parametrize("early", [True, False])
def test_what_is_in_the_way_is_found_before_anything_is_moved(
    run: Any, table: Any, content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    """Before the work is done, or if it comes there meanwhile, before the first file is moved."""
    source, out = table(tmp_path / "in", TEXTS), tmp_path / "out"
    last = max(path for path in source.rglob("*") if path.is_file()).relative_to(source)
    out.mkdir()
    (out / "part0").write_text("mine")
    (out / last).mkdir(parents=True)
    (out / last / "mine").write_text("mine")
    before = content(out)
    if not early:
        monkeypatch.setattr("restore.batch.runner.check_room", lambda *_: None)
    with pytest.raises(InputError, match=r"out/part0: is a file, and stands where a folder of the output goes"):
        run(source, out, force=True)
    assert work_folder(out).exists() is not early
    (out / "part0").unlink()
    with pytest.raises(InputError, match=rf"out/{last}: is a folder, and stands where a file of the output goes"):
        run(source, out, force=True)
    assert content(out) == {name: data for name, data in before.items() if name != "part0"}
    shutil.rmtree(out / last)
    progress, _ = run(source, out, force=True)
    assert progress.kept_rows == (0 if early else len(TEXTS))
    assert (out / last).is_file()
    assert (out / "part1" / "004.txt").read_text() == "TEXT NUMBER 4"


@pytest.mark.parametrize("force", [False, True])
def test_the_input_is_never_the_output(run: Any, table: Any, content: Any, tmp_path: Path, force: bool) -> None:
    source, folder = table(tmp_path / "t.jsonl", TEXTS), table(tmp_path / "in", TEXTS)
    before = content(tmp_path)
    (tmp_path / "link.jsonl").symlink_to(source)
    os.link(source, tmp_path / "twin.jsonl")
    for name in ("t.jsonl", "link.jsonl", "twin.jsonl", "./in/../t.jsonl"):
        with pytest.raises(InputError, match="is the input, which is never overwritten"):
            run(source, tmp_path / name, force=force)
    (tmp_path / "to-in").symlink_to(folder)
    for name in ("in", "in/out", "in/part0/out", "to-in/out", "to-in"):
        with pytest.raises(InputError, match=r"is the input|would stand within"):
            run(folder, tmp_path / name, force=force)
    with pytest.raises(InputError, match="would stand within"):
        run(folder / "part0", folder, force=force)
    (tmp_path / "link.jsonl").unlink()
    (tmp_path / "twin.jsonl").unlink()
    (tmp_path / "to-in").unlink()
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        ("gone.jsonl", "out.jsonl", "gone.jsonl: cannot be read (No such file or directory)"),
        ("pipe.jsonl", "out.jsonl", "no regular file"),
        ("t.jsonl", "no/folder/out.jsonl", "does not exist"),
        ("t.jsonl", "out.csv", "of the input's kind (jsonl)"),
        ("t.jsonl", "out", "of the input's kind (jsonl)"),
        ("t.jsonl", "folder.jsonl", "is a folder, but the output is a file"),
        ("folder.jsonl", "t.jsonl", "is a file, but the output of a folder is a folder"),
    ],
)
def test_paths_that_cannot_be(run: Any, table: Any, tmp_path: Path, source: str, target: str, says: str) -> None:
    table(tmp_path / "t.jsonl", TEXTS)
    (tmp_path / "folder.jsonl").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")
    for force in (False, True):
        with pytest.raises(InputError, match=r"^[^\n]+$") as error:
            run(tmp_path / source, tmp_path / target, force=force)
        assert says in str(error.value)
    assert not work_folder(tmp_path / target).exists()


def test_what_appears_meanwhile_is_not_overwritten(run: Any, table: Any, tmp_path: Path) -> None:
    source, target = table(tmp_path / "t.jsonl", TEXTS), tmp_path / "out.jsonl"
    from restore.batch.tables.jsonl import JsonLines

    def finish(*args: Any) -> None:
        real(*args)
        target.write_text("mine")

    real, JsonLines.finish = JsonLines.finish, finish  # type: ignore[method-assign]
    try:
        with pytest.raises(RestoreError, match="is there already"):
            run(source, target)
    finally:
        JsonLines.finish = real  # type: ignore[method-assign]
    assert target.read_text() == "mine"
    assert run(source, target, force=True)[0].kept_rows == 11


def test_other_folders_of_the_name_are_left_alone(run: Any, table: Any, tmp_path: Path) -> None:
    source, target = table(tmp_path / "t.jsonl", TEXTS), tmp_path / "out.jsonl"
    for make in ("file", "folder", "job"):
        folder = work_folder(target)
        if make == "file":
            folder.write_text("mine")
        else:
            folder.mkdir()
            (folder / ("lock" if make == "job" else "mine")).touch()
            (folder / "job.json").write_text("[]" if make == "job" else "{}")
        with pytest.raises(RestoreError, match="is not a working folder"):
            run(source, target)
        shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
    assert not target.exists()


def test_permissions_are_ordinary(run: Any, source: Path) -> None:
    os.umask(0o027)
    target = out_of(source)
    run(source, target)
    paths = [target, *target.rglob("*")]
    for path in paths:
        assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640)


def test_progress_goes_up_to_the_whole(table: Any, tmp_path: Path) -> None:
    from restore.batch import Job, run_batch

    from .conftest import Alone, Told

    source, told = table(tmp_path / "t.csv", TEXTS), Told()
    run_batch(Job(source, tmp_path / "out.csv", part_rows=2), Alone(), told)
    assert told.steps == sorted(told.steps)
    assert len(told.steps) == 6
    assert told.steps[-1] <= source.stat().st_size
    assert json.dumps(told.bad).count("row 10") == 1


@pytest.mark.parametrize("at", ["rename", "remove"])
@pytest.mark.parametrize("change", ["input", "options"])
def test_what_is_done_is_not_taken_for_another_run(
    run: Any, table: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, change: str
) -> None:
    """A run that is killed when its output is whole is finished; another for the same output is not."""
    source, target = table(tmp_path / "t.jsonl", TEXTS), tmp_path / "out.jsonl"

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if at == "rename":
            patch.setattr("restore.batch.store.Store.remove", killed)
        else:
            patch.setattr("restore.batch.store.shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            run(source, target)
    assert target.exists()
    assert remnants(target)
    before = target.read_bytes()
    other: dict[str, Any] = {"prefix": "new_"} if change == "options" else {}
    if change == "input":
        table(source, ["other text", *TEXTS])
    with pytest.raises(InputError, match="is there already"):
        run(source, target, **other)
    assert target.read_bytes() == before
    progress, _ = run(source, target, force=True, **other)
    assert progress.rows == len(TEXTS) + (change == "input")
    assert target.read_bytes() != before
    assert not remnants(target)


def test_the_same_run_is_finished_once_its_output_is_whole(
    run: Any, content: Any, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = out_of(source)
    with monkeypatch.context() as patch:
        patch.setattr("restore.batch.store.Store.remove", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(source, target)
    before = content(target)
    progress, _ = run(source, target)
    assert (progress.whole, progress.position) == (True, progress.total)
    assert content(target) == before
    assert not remnants(target)


@pytest.mark.parametrize("name", ["notes", "signature", "file", "input"])
def test_no_two_fields_have_one_name(run: Any, source: Path, name: str) -> None:
    with pytest.raises(RestoreError, match=rf"^two fields of the output would be called '{name}'; choose another"):
        run(source, out_of(source), output=name)
    assert not out_of(source).exists()


def test_another_header_is_another_input(run: Any, tmp_path: Path) -> None:
    """Which column is the text stands there."""
    source, target = tmp_path / "t.csv", tmp_path / "out.csv"
    rows = "".join(f"text {number},other {number}\n" for number in range(6))
    source.write_text("text,other\n" + rows, encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        run(source, target, stop=2)
    source.write_text("other,text\n" + rows, encoding="utf-8")
    with pytest.raises(InputError, match="has changed since the unfinished run"):
        run(source, target)


def test_an_empty_folder_is_an_output_from_within(
    run: Any, table: Any, content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = table(tmp_path / "in", TEXTS)
    run(source, tmp_path / "whole")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    run(source, Path())
    assert content(tmp_path / "here") == content(tmp_path / "whole")
    assert os.path.samefile(os.curdir, tmp_path / "here")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("number", ["EBUSY", "EXDEV"])
def test_a_mounted_folder_is_an_output(
    run: Any, table: Any, content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    """Nothing can be renamed into its place, or even from one file system to another."""
    source = table(tmp_path / "in", TEXTS)
    run(source, tmp_path / "whole")
    target = tmp_path / "mounted"
    target.mkdir()
    rename, replace = os.rename, os.replace

    def refused(real: Any) -> Any:
        def move(one: Any, other: Any, **options: Any) -> None:
            into = Path(other) == target if number == "EBUSY" else target in (Path(other), *Path(other).parents)
            if into and target not in Path(one).parents:
                raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)))
            real(one, other, **options)

        return move

    monkeypatch.setattr(os, "rename", refused(rename))
    monkeypatch.setattr(os, "replace", refused(replace))
    run(source, target)
    assert content(target) == content(tmp_path / "whole")
    assert not remnants(target)


def test_a_run_that_cannot_begin_leaves_nothing(run: Any, table: Any, tmp_path: Path) -> None:
    source = table(tmp_path / "t.jsonl", TEXTS)

    class Broken:
        def __enter__(self) -> Broken:
            raise RestoreError("no such model")

        def __exit__(self, *error: object) -> None:
            pass

    with pytest.raises(RestoreError, match="no such model"):
        run_batch(Job(source, tmp_path / "out.jsonl"), Broken())  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["t.jsonl"]
