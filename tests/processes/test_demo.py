"""The page of the command `demo`, over HTTP and in a browser."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gradio_client import Client
from PIL import Image
from selenium.webdriver.common.keys import Keys

from gan_dist.drawing.images import Drawing
from gan_dist.models.dcgan import Generator
from gan_dist.playground.drawing import draw
from gan_dist.playground.generators import load_all
from gan_dist.storage.weights import load_generator, save_weights
from tests.conftest import ROOT
from tests.harness import forked
from tests.harness.browser import chromium
from tests.harness.demo import demo
from tests.harness.forked import free_port

LAST = "step 30 (last)"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with three generators of ten classes, which have learned nothing, and a damaged one."""
    folder = tmp_path_factory.mktemp("demo") / "digits"
    for step, name in ((10, "best/step_00000010"), (20, "best/step_00000020"), (30, "generator")):
        torch.manual_seed(step)
        arguments = '{"latent_dim": 16, "num_classes": 10, "width": 8}'
        said = {"model": "dcgan", "dataset": "mnist", "recipe": "mnist", "seed": "0", "step": str(step)}
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        network = Generator(latent_dim=16, num_classes=10, width=8)
        save_weights(network, folder / name, said | {"arguments": arguments}, "generator")
    (folder / "checkpoints" / "step_00000005").mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def page(run: Path) -> Iterator[str]:
    with demo(run) as address:
        yield address


def pixels(picture: str | Image.Image) -> np.ndarray:
    return np.asarray((Image.open(picture) if isinstance(picture, str) else picture).convert("RGB"))


def test_generators_of_a_run(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert list(load_all(run)) == [LAST, "step 20 (best)", "step 10"]
    assert "step_00000005 is not shown: " in caplog.text
    assert list(load_all(run / "generator")) == [LAST]


def test_page_over_http(run: Path, page: str) -> None:
    """Each tab shows what the generator draws of the noise."""
    client = Client(page, verbose=False)

    def shown(*words: Any, of: str) -> list[np.ndarray]:
        answer = client.predict(*words, api_name=f"/{of}")
        return [pixels(each) for each in ([answer] if isinstance(answer, str) else answer)]

    generator = load_generator(run)
    for seed, cut, label in ((0, 4, -1), (5, 4, 7), (5, 0.5, 7)):
        noise = Drawing(generator, seed, truncation=None if cut == 4 else cut).noise(range(60))
        expected = draw(generator, noise, None if label == -1 else label, columns=10)
        (found,) = shown(LAST, cut, label, seed, of="samples")
        assert np.array_equal(found, pixels(expected))
    one, other = (pixels(draw(generator, Drawing(generator, seed).noise(range(1)), 7)) for seed in (1, 2))
    assert np.array_equal(shown(LAST, 4, 7, 1, 2, 0, of="walk")[0], one)
    assert np.array_equal(shown(LAST, 4, 7, 1, 2, 1, of="walk")[0], other)
    assert [len(strip) for strip in shown(LAST, 4, 7, 1, 2, of="strip")] == [420, 420, 120]
    assert np.array_equal(shown(LAST, 4, 7, 1, *[0] * 6, of="directions")[0], one)
    moved = [shown(LAST, 4, 7, 1, *amounts, of="directions")[0] for amounts in np.eye(6).tolist()]
    assert len({each.tobytes() for each in [one, *moved]}) == 7
    strips = shown(4, -1, 0, of="checkpoints")
    assert np.array_equal(strips[0], shown(LAST, 4, -1, 0, of="samples")[0][: len(strips[0])])
    assert len({each.tobytes() for each in strips}) == 3
    # What a person may type: no seed, one below 0, numbers that are not on the slider.
    for typed in ((4, 3, None), (4, 3, -5), (9, 3, 0), (-1, 3, 2**60)):
        assert shown(LAST, *typed, of="samples")[0].shape == (720, 1200, 3)


@pytest.mark.slow
def test_in_a_browser(page: str) -> None:
    """Every click changes the pictures, and nothing is asked of another host."""
    with chromium() as browser:
        browser.driver.get(page)
        for tab, pictures, clicks in (
            ("Samples", 1, ["New seed", "7", "all"]),
            ("Walk", 4, ["New seeds", "3"]),
            ("Directions", 7, ["New seed", "9"]),
            ("Checkpoints", 3, ["New seed", "1"]),
        ):
            browser.click(tab)
            browser.await_pictures(pictures)
            for words in clicks:
                browser.changes(partial(browser.click, words))
            if sliders := browser.seen("//input[@type='range']")[1:]:  # but for truncation
                browser.changes(partial(sliders[-1].send_keys, Keys.ARROW_RIGHT))
        browser.changes(partial(browser.seen("//input[@type='range']")[0].send_keys, Keys.HOME))
        assert browser.hosts() == {"127.0.0.1", ""}


@pytest.mark.slow
def test_program_of_a_space(run: Path, tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "demo.md").read_text(), re.S)
    (tmp_path / "app.py").write_text(program)
    shutil.copytree(run / "generator", tmp_path / "generator")
    port = free_port()
    env = os.environ | {"PYTHONPATH": str(ROOT), "GRADIO_SERVER_PORT": str(port)}
    with subprocess.Popen([sys.executable, "app.py"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) as app:
        assert app.stdout
        assert f":{port}" in app.stdout.readline()
        picture = Client(f"http://127.0.0.1:{port}/", verbose=False).predict(LAST, 4, 3, 0, api_name="/samples")
        assert pixels(picture).shape == (720, 1200, 3)
        app.kill()


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["nowhere"], "nowhere: no generator there; "),
        (["nowhere", "--port", "0"], "--port 0: must be from 1 to 65535"),
        (["nowhere", "--port", "many"], "--port many: must be a whole number"),
        (["nowhere", "--host", "192.0.2.1"], "--host 192.0.2.1 --port 7860: cannot be used ("),
        ([], "the following arguments are required: weights"),
    ],
)
def test_bad_input_is_one_line(args: list[str], expected: str) -> None:
    is_one_line(start(*args), expected)


def test_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        is_one_line(
            start("nowhere", "--port", port), f"--host 127.0.0.1 --port {port}: cannot be used (Address already"
        )


def test_without_gradio(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['gradio'] = None")
    is_one_line(start("nowhere", PYTHONPATH=str(tmp_path)), "the page needs gradio; pip install gradio")


def start(*args: object, **environment: str) -> subprocess.CompletedProcess[str]:
    words, afresh = ["-m", "gan_dist.demo", *args], bool(environment)
    return forked.run(*words, folder=ROOT, timeout=120, afresh=afresh, environment=environment)


def is_one_line(done: subprocess.CompletedProcess[str], expected: str) -> None:
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith(f"error: {expected}")
