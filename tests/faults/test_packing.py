"""Pictures are packed as a whole or not at all, whoever is killed, comes at once or has no room."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gan_dist.data.dataset import load_dataset
from tests.conftest import ROOT
from tests.harness.pictures import noise, save
from tests.harness.runs import kill, small_disk, start_command, wait_until

NUM = 400


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures that take some seconds to pack."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = save(noise(800), tmp_path / "mine" / "0.png")
    for number in range(1, NUM):
        os.link(first, first.with_name(f"{number}.png"))
    return first.parent


def pack(folder: Path) -> list[str]:
    unlabelled = ["--recipe", "linear", "--dataset", str(folder)]
    return [sys.executable, "-m", "gan_dist.download", *unlabelled]


@pytest.mark.slow
def test_killed_packer_leaves_nothing_half_made(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache/gan_dist/pictures"
    killed = start_command(pack(folder))
    wait_until(lambda: any(file.stat().st_size for file in cache.glob(".new_*/images")), killed)
    kill(killed)
    left = [file.name for file in cache.iterdir() if file.name != ".lock"]
    assert [name[:5] for name in left] == [".new_"]
    (folder / "0.png").unlink()  # what was killed is never asked for again
    again = start_command(pack(folder))
    words, _ = again.communicate(timeout=120)
    assert again.returncode == 0, words
    assert f"mine: {NUM - 1} images" in words
    (packed,) = (file for file in cache.iterdir() if file.name != ".lock")
    assert (packed / "images").stat().st_size == (NUM - 1) * 3 * 32 * 32
    images = load_dataset(str(folder), "data").images
    assert np.array_equal(images, np.broadcast_to(images[0], images.shape))


@pytest.mark.slow
def test_two_at_once(folder: Path) -> None:
    jobs = [start_command(pack(folder)) for _ in range(2)]
    words = [job.communicate(timeout=120)[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], words
    assert sum("packed 400 pictures" in each for each in words) == 1, words
    assert sum("waiting for another process" in each for each in words) == 1, words
    assert all("mine: 400 images" in each for each in words), words


def test_full_disk_is_one_line(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "disk", "512k") as disk:
        monkeypatch.setenv("XDG_CACHE_HOME", str(disk))
        job = start_command(pack(folder))
        words, _ = job.communicate(timeout=120)
        assert job.returncode == 2, words
        remedy = "(No space left on device); name another folder with XDG_CACHE_HOME\n"
        assert words == f"error: --dataset {folder}: cannot write to {disk}/gan_dist/pictures {remedy}"
        assert [file.name for file in (disk / "gan_dist/pictures").iterdir()] == [".lock"]


@pytest.mark.slow
def test_hundred_thousand_pictures_are_never_in_memory_together(tmp_path: Path, folder: Path) -> None:
    """Their images take 307 MB."""
    firsts = [save(noise(16, seed), tmp_path / "many" / str(seed) / "0.png") for seed in range(100)]
    for first in firsts:
        for number in range(1, 1000):
            os.link(first, first.with_name(f"{number}.png"))
    program = (
        "import re, sys; from gan_dist.data.dataset import load_dataset; data = load_dataset(sys.argv[1], 'data');"
        "peak = re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1];"
        "print(len(data.images), len(data.class_names), peak)"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "many"], cwd=ROOT, capture_output=True, text=True)
    num, classes, peak = map(int, done.stdout.split())
    assert (num, classes) == (100_000, 100)
    assert peak < 150_000, f"{peak} kB"
