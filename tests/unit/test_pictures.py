"""A folder of pictures as a data set: every kind of pixel, odd files, damaged files, the cache."""

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan_dist.data.dataset import Dataset, fingerprint, load_dataset
from gan_dist.errors import UserError
from tests.harness.pictures import fill, noise, save

RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/gan_dist/pictures"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


def loaded(folder: Path, image_size: int | None = 8, **options: Any) -> Dataset:
    return load_dataset(str(folder), "data", image_size=image_size, **options)


def pixels(folder: Path, **options: Any) -> np.ndarray:
    """Of the only picture, [H, W] or [H, W, C]."""
    (image,) = loaded(folder, **options).images
    return np.asarray(image).transpose(1, 2, 0).squeeze()


@pytest.mark.parametrize(
    ("picture", "name", "expected"),
    [
        (Image.fromarray(RAMP % 2 == 0), "a.png", (RAMP % 2 == 0) * 255),
        (Image.fromarray(RAMP), "a.bmp", RAMP),
        (Image.fromarray(noise()), "a.webp", noise()),
        (Image.fromarray(RAMP.astype(np.uint16) * 257), "a.png", RAMP),
        (Image.fromarray(np.full((8, 8), 65535 - 128, np.uint16)), "a.tiff", np.full((8, 8), 255)),  # the nearest
        (Image.fromarray(np.full((8, 8), 65535 - 129, np.uint16)), "a.tiff", np.full((8, 8), 254)),
        (Image.fromarray(RAMP.astype(np.int32) * 257), "a.tiff", RAMP),
        (Image.fromarray(np.full((8, 8, 4), [10, 20, 30, 0], np.uint8), "CMYK"), "a.tiff", [245, 235, 225]),
        (Image.fromarray(np.full((8, 8, 4), [0, 0, 0, 255], np.uint8), "CMYK"), "a.tiff", 0),
        (Image.fromarray(np.stack([RAMP, np.full_like(RAMP, 255)], -1)), "a.png", RAMP),  # LA
        (Image.fromarray(np.stack([RAMP, np.zeros_like(RAMP)], -1)), "a.png", 255),
        (Image.fromarray(np.dstack([noise(), np.full((8, 8), 255, np.uint8)])), "a.png", noise()),
        (Image.fromarray(np.dstack([noise(), np.zeros((8, 8), np.uint8)])), "a.png", 255),
    ],
)
@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
def test_every_kind_of_pixel(picture: Image.Image, name: str, expected: object, folder: Path) -> None:
    save(picture, folder / name, **({"lossless": True} if name.endswith("webp") else {}))
    found = pixels(folder)
    assert np.array_equal(found, np.broadcast_to(np.asarray(expected), found.shape))


def test_palette_and_its_transparent_colour(folder: Path) -> None:
    picture = Image.fromarray((RAMP % 3).astype(np.uint8)).convert("P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    save(picture, folder / "a.png", transparency=1)
    palette = np.array([[255, 0, 0], [7, 8, 9], [0, 0, 255]])
    assert np.array_equal(pixels(folder, background="#070809"), palette[RAMP % 3])


def test_half_transparent_over_the_background(folder: Path) -> None:
    save(np.full((8, 8, 4), [200, 100, 0, 51], np.uint8), folder / "a.png")  # a fifth
    assert pixels(folder, background="white")[0, 0].tolist() == [244, 224, 204]
    assert pixels(folder, background="black")[0, 0].tolist() == [40, 20, 0]
    assert pixels(folder, background="black", channels=1)[0, 0] == round(0.299 * 40 + 0.587 * 20)


@pytest.mark.parametrize(("orientation", "turned"), [(3, 2), (6, -1), (8, 1)])
def test_exif_orientation(orientation: int, turned: int, folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(noise(16)).resize((64, 64))
    save(picture, folder / "a" / "upright.jpg")
    save(picture, folder / "b" / "turned.jpg", exif=exif)
    upright, found = loaded(folder, 64).images
    assert np.array_equal(found, np.rot90(upright, turned, axes=(1, 2)))


def test_centre_as_a_square(folder: Path) -> None:
    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, 4:12] = noise()
    save(wide, folder / "wide.png")
    save(wide.transpose(1, 0, 2), folder / "zhigh.png")
    first, second = loaded(folder).images.transpose(0, 2, 3, 1)
    assert np.array_equal(first, noise())
    assert np.array_equal(second, noise().transpose(1, 0, 2))


def test_sizes(folder: Path) -> None:
    """Pictures are scaled as Pillow's Lanczos does; a large JPEG is near it, though decoded at less."""
    save(noise(20), folder / "a.png")
    save(noise(3), folder / "b.png")
    smooth = Image.fromarray(noise(4)).resize((512, 512), Image.Resampling.BICUBIC)
    save(smooth, folder / "c.jpg", quality=95)
    large, small, photo = loaded(folder, None).images.transpose(0, 2, 3, 1)
    for found, picture in ((large, noise(20)), (small, noise(3))):
        assert np.array_equal(found, np.asarray(Image.fromarray(picture).resize((32, 32), Image.Resampling.LANCZOS)))
    whole = np.asarray(smooth.resize((32, 32), Image.Resampling.LANCZOS)).astype(int)
    assert abs(photo - whole).mean() < 1


def test_grey_if_all_are(folder: Path) -> None:
    save(np.repeat(RAMP[..., None], 3, axis=2), folder / "0.png")  # as RGB
    save(RAMP, folder / "1.png")
    assert loaded(folder).images.shape == (2, 1, 8, 8)
    assert np.array_equal(loaded(folder).images[:, 0], [RAMP, RAMP])
    assert np.array_equal(loaded(folder, channels=3).images, np.broadcast_to(RAMP, (2, 3, 8, 8)))
    save(noise(), folder / "2.png")
    assert loaded(folder).images.shape == (3, 3, 8, 8)
    assert np.array_equal(loaded(folder, channels=1).images[2, 0], np.asarray(Image.fromarray(noise()).convert("L")))


def test_subfolders_are_classes(folder: Path) -> None:
    for name in ("cats/old/0.png", "cats/1.png", "apes/0.png", "dogs/0.JPG"):
        save(noise(), folder / name)
    (folder / "nothing").mkdir()
    data = loaded(folder)
    assert data.class_names == ("apes", "cats", "dogs")
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1, 1, 2]
    save(noise(), folder / "loose.png")
    assert loaded(folder).labels is None
    assert loaded(folder).class_names == ()


def test_order_and_number(folder: Path) -> None:
    """More pictures than are decoded at once, in the order of their names."""
    for number in range(300):
        save(np.full((4, 4), number % 256, np.uint8), folder / f"{number:03}.png")
    told: list[tuple[int, int]] = []
    data = loaded(folder, 4, progress=lambda *numbers: told.append(numbers))
    assert data.images[:, 0, 0, 0].tolist() == [number % 256 for number in range(300)]
    assert told[-1] == (300, 300)
    assert len(told) > 1
    assert (data.name, data.labels) == ("mine", None)
    with pytest.raises(ValueError, match="read-only"):
        data.images[0, 0, 0, 0] = 1
    assert "r--s" in next(line for line in Path("/proc/self/maps").read_text().splitlines() if "/pictures/" in line)


def test_other_files_are_left_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(folder, 1)
    for name in ("README.txt", "Thumbs.db", ".DS_Store", "._0.png", ".hidden/0.png", "drawing.eps"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"anything")
    os.mkfifo(folder / "pipe.png")
    with caplog.at_level(logging.INFO):
        assert len(loaded(folder).images) == 1
    assert "left out files that Pillow does not read (.db, .eps, .txt)" in caplog.text


def test_links(folder: Path, tmp_path: Path) -> None:
    """To files they are followed, also out of the folder; to folders they are not."""
    save(noise(8, 1), tmp_path / "elsewhere" / "picture.png")
    fill(folder / "a", 1)
    (folder / "a" / "link.png").symlink_to(tmp_path / "elsewhere" / "picture.png")
    (folder / "a" / "loop").symlink_to(folder)
    (folder / "elsewhere").symlink_to(tmp_path / "elsewhere")
    (folder / "folder.png").symlink_to(tmp_path / "elsewhere")
    data = loaded(folder)
    assert data.class_names == ("a",)
    assert np.array_equal(data.images.transpose(0, 2, 3, 1), [noise(8, 0), noise(8, 1)])


def test_damaged_pictures(folder: Path, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in "abc":
        fill(folder / name, 2)
    whole = save(noise(64), folder / "b" / "9.png").read_bytes()
    (folder / "b" / "9.png").write_bytes(whole[:2000])
    (folder / "b" / "0.png").write_bytes(b"")
    (folder / "b" / "1.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n")  # no program is started
    (folder / "c" / "0.png").unlink()
    (folder / "c" / "0.png").symlink_to(folder / "none")
    named = r"b/0.png \(is no picture\), b/1.png \(is no picture\), b/9.png \(.*truncated.*\), ..."
    expected = f"4 of 7 pictures are damaged: {named}"
    with pytest.raises(UserError, match=rf"--dataset {folder}: {expected}; delete them, or take --skip-damaged$"):
        loaded(folder)
    assert [file.name for file in cache.iterdir()] == [".lock"]
    for _ in range(2):  # the second time from the cache
        data = loaded(folder, skip_damaged=True)
        assert data.class_names == ("a", "c")
        assert data.labels is not None
        assert data.labels.tolist() == [0, 0, 1]
        assert np.array_equal(data.images.transpose(0, 2, 3, 1), [noise(8, 0), noise(8, 1), noise(8, 1)])
    (words,) = (record.message for record in caplog.records if record.levelname == "WARNING")
    assert words.startswith(f"--dataset {folder}: 4 of 7 pictures are damaged")
    assert words.endswith("; skipped")
    with pytest.raises(UserError, match="4 of 7 pictures"):
        loaded(folder)


@pytest.mark.parametrize("limit", [40, 20])  # beyond one of them Pillow warns, beyond twice of it refuses
def test_bomb_is_damaged(limit: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(folder, 1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(
        UserError, match=r"1 of 1 pictures are damaged: 0.png \(Image size \(64 pixels\).*; delete them$"
    ):
        loaded(folder, skip_damaged=True)


@pytest.mark.parametrize("value", [np.float32(0.5), np.int32(-1), np.int32(70_000)])
def test_numbers_of_an_unknown_range_are_damaged(value: np.generic, folder: Path) -> None:
    save(np.full((8, 8), value), folder / "a.tiff")
    with pytest.raises(UserError, match="whose range is not known"):
        loaded(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
def test_unreadable(folder: Path, tmp_path: Path) -> None:
    levels = 3 if "PYTEST_XDIST_WORKER" in os.environ else 2  # pytest's own; a worker has one more
    for place in (tmp_path, *tmp_path.parents[:levels]):
        place.chmod(0o777)
    fill(folder / "a", 2)
    (folder / "a" / "0.png").chmod(0)
    try:
        os.seteuid(54321)
        with pytest.raises(UserError, match=r"1 of 2 pictures are damaged: a/0.png \(Permission denied\)"):
            loaded(folder)
        os.seteuid(0)
        (folder / "a").chmod(0)
        os.seteuid(54321)
        with pytest.raises(UserError, match=rf"--dataset {folder}: {folder}/a cannot be read \(Permission denied\)"):
            loaded(folder)
    finally:
        os.seteuid(0)


def test_empty_folder(folder: Path) -> None:
    (folder / "README.txt").touch()
    with pytest.raises(UserError, match=rf"--dataset {folder}: no pictures in this folder; name one with files that"):
        loaded(folder)


def test_packed_anew_if_it_has_changed(folder: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.INFO)

    def packs(folder: Path, **options: Any) -> bool:
        caplog.clear()
        loaded(folder, **options)
        return "packed" in caplog.text

    fill(folder, 2)
    changes = [
        lambda: None,
        lambda: save(noise(8, 5), folder / "0.png"),
        lambda: os.utime(folder / "0.png", (1, 1)),
        lambda: (folder / "0.png").rename(folder / "00.png"),
        lambda: save(noise(8, 6), folder / "3.png"),
        lambda: (folder / "1.png").unlink(),
    ]
    for change in changes:
        change()
        assert packs(folder)
        assert not packs(folder)
    for option in ({"image_size": 4}, {"channels": 1}, {"background": "black"}):
        assert packs(folder, **option)
        assert not packs(folder, **option)
    folder.rename(tmp_path / "moved")
    assert not packs(tmp_path / "moved")


def test_fingerprint_is_of_what_is_learned(folder: Path, tmp_path: Path) -> None:
    fill(folder / "a", 1)
    fill(folder / "b", 1)
    before = fingerprint(loaded(folder))
    folder.rename(tmp_path / "moved")
    os.utime(tmp_path / "moved" / "a" / "0.png", (1, 1))
    assert fingerprint(loaded(tmp_path / "moved")) == before | {"name": "moved"}
    (tmp_path / "moved" / "b").rename(tmp_path / "moved" / "c")
    assert fingerprint(loaded(tmp_path / "moved"))["sha256"] != before["sha256"]
    save(noise(8, 1), tmp_path / "moved" / "a" / "0.png")
    (tmp_path / "moved" / "c").rename(tmp_path / "moved" / "b")
    assert fingerprint(loaded(tmp_path / "moved"))["sha256"] != before["sha256"]


def test_damaged_cache_is_packed_anew(folder: Path, cache: Path) -> None:
    fill(folder, 2)
    images = loaded(folder).images.copy()
    (pack,) = cache.glob("[!.]*")
    (pack / "images").write_bytes(b"short")
    assert np.array_equal(loaded(folder).images, images)


def test_cache_that_cannot_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(folder, 1)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/cache")
    with pytest.raises(
        UserError, match=r"cannot write to /proc/cache/gan_dist/pictures \(.*\); name another folder with"
    ):
        loaded(folder)
