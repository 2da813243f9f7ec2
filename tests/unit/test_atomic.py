"""Files and folders are whole, old or new, whatever moment a writer is killed at."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gan_dist import atomic


def write_folder(folder: Path, word: str) -> None:
    with atomic.new_folder(folder) as new:
        (new / "a").write_text(word)
        (new / "inside").mkdir()
        (new / "inside" / "b").write_text(word)


def killed_at_rename(number: int, writer: Callable[[], None]) -> bool:
    """Run `writer` in a process of its own, which ends at its rename of that number -> whether it came so far."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    real, left = os.replace, iter(range(number))

    def replace(a: Path, b: Path) -> None:
        if next(left, None) is None:
            os._exit(9)
        real(a, b)

    os.replace = replace  # type: ignore[assignment]
    writer()
    os._exit(0)


def test_folder_is_old_or_new_after_a_kill(tmp_path: Path) -> None:
    for rename, words in ((0, "old"), (1, "new"), (2, "new")):
        folder = tmp_path / str(rename) / "folder"
        folder.parent.mkdir()
        write_folder(folder, "old")
        assert killed_at_rename(rename, lambda: write_folder(folder, "new")) == (rename < 2)  # noqa: B023
        atomic.clean(folder.parent)
        assert [file.name for file in folder.parent.iterdir()] == ["folder"]
        assert {file.read_text() for file in (folder / "a", folder / "inside" / "b")} == {words}


def test_file_is_old_or_new_after_a_kill(tmp_path: Path) -> None:
    file = tmp_path / "file"
    atomic.write_file(file, b"old")
    assert killed_at_rename(0, lambda: atomic.write_file(file, b"new"))
    assert len(list(tmp_path.iterdir())) == 2
    atomic.clean(tmp_path)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"old"]
    atomic.write_file(file, b"new")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"new"]


def test_nothing_is_left_after_an_exception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    write_folder(folder, "old")
    with pytest.raises(FileNotFoundError), atomic.new_folder(folder) as new:
        (new / "a").rename(new / "b")  # there is none
    with pytest.raises(FileNotFoundError), atomic.new_folder(folder) as new:
        shutil.rmtree(new)  # so that it cannot be put in place
    real, left = os.replace, iter([True])

    def replace(a: Path, b: Path) -> None:
        if b == folder and next(left, False):
            raise OSError("the disk fails")
        real(a, b)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="the disk fails"):
        write_folder(folder, "new")
    monkeypatch.undo()
    with pytest.raises(IsADirectoryError):
        atomic.write_file(folder, b"")
    with pytest.raises(FileNotFoundError), atomic.new_folder(tmp_path / "gone" / "folder"):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]
    assert (folder / "a").read_text() == "old"


def test_content_reaches_the_disk_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files, then their folders, then the rename, then the folder that it is in."""
    real_sync, real_replace = os.fsync, os.replace
    done: list[str] = []

    def fsync(descriptor: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name.split(".")[-1])
        real_sync(descriptor)

    def replace(a: Path, b: Path) -> None:
        done.append(f"rename to {b.name}")
        real_replace(a, b)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write_folder(tmp_path / "folder", "new")
    renamed = done.index("rename to folder")
    assert {"a", "b", "inside", "new_folder"} <= set(done[:renamed])
    assert done[renamed + 1 :] == [tmp_path.name]
