"""A run is published on a stand-in for the Hugging Face Hub, with a real client, and loaded from there."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from PIL import Image
from safetensors import safe_open

from gan_dist.errors import UserError
from gan_dist.evaluation.features import load_extractor
from gan_dist.sharing.folder import fill
from gan_dist.storage.metrics_file import read_rows
from tests.conftest import ROOT, tool, train
from tests.harness.hub_server import TOKEN, HubServer
from tests.harness.pair import PAIR, write

NAME = "tester/digits"
SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY")
LOAD = """
import json, sys, torch, gan_dist
for name, options in json.loads(sys.argv[1]):
    try:
        generator = gan_dist.load_generator(name, **options)
        print(tuple(generator(torch.zeros(1, generator.latent_dim)).shape))
    except gan_dist.UserError as error:
        print(error)
"""
ASK = """
import json, sys
from pathlib import Path
from gan_dist.errors import UserError
from gan_dist.storage import hub
for is_private in json.loads(sys.argv[1]):
    try:
        print(hub.upload(Path("folder"), "tester/digits", is_private, "a message"))
    except UserError as error:
        print(error)
try:
    print(hub.download("tester/nothing"))
except UserError as error:
    print(error)
"""


class Client:
    """A machine with Python and gan_dist, for which `hub` is the Hub."""

    def __init__(self, hub: HubServer, folder: Path) -> None:
        self.hub, self.folder = hub, folder
        kept = {name: value for name, value in os.environ.items() if name not in SECRETS}
        self.environment = kept | hub.environment(folder / "cache") | {"PYTHONPATH": str(ROOT)}

    def __call__(self, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *map(str, words)]
        env = self.environment | environment
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=120)

    def ask(self, *is_private: bool, token: str) -> list[str]:
        """What uploads of a small folder and the download of nothing say."""
        (self.folder / "folder").mkdir(exist_ok=True)
        (self.folder / "folder" / "config.json").write_text("{}")
        done = self("-c", ASK, json.dumps(is_private), HF_TOKEN=token)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    def load(self, *cases: tuple[str, dict[str, str]], **environment: str) -> list[str]:
        """What load_generator gives: a shape or an error."""
        done = self("-c", LOAD, json.dumps(cases), **environment)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with HubServer() as hub:
        yield Client(hub, tmp_path)


@pytest.fixture(autouse=True)
def without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def evaluated(run_200: Path, tmp_path: Path) -> Path:
    """The run with an evaluation of its last step."""
    run = tmp_path / "run"
    shutil.copytree(run_200, run)
    with (run / "metrics.jsonl").open("a") as file:
        row = {"step": 200, "eval_frechet_distance": 12.5, "eval_precision": 0.25, "eval_seconds": 3.0}
        file.write(json.dumps(row) + "\n")
    return run


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture).astype(int)


def test_a_run_is_published_and_drawn_from(run_200: Path, client: Client) -> None:
    """The picture in the repository is what `generate` draws of it, and all files are those of a dry run."""
    done = client("-m", "gan_dist.hub", "push", run_200, NAME, "--private", HF_TOKEN=TOKEN)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{client.hub.url}/{NAME}\n", "")
    repository = client.hub.repositories[NAME]
    assert repository.private
    dry = client.folder / "dry"
    dry.mkdir()
    fill(dry, run_200, NAME, "last", None)
    assert {file.name for file in dry.iterdir()} == repository.files.keys()
    assert (dry / "README.md").read_bytes() == repository.files["README.md"]
    assert "It was not measured." in (dry / "README.md").read_text()

    done = client("-m", "gan_dist.generate", NAME, "--num", 100, "--out", "drawn.png", HF_TOKEN=TOKEN)
    assert (done.returncode, done.stdout, done.stderr) == (0, "drawn.png\n", "")
    (client.folder / "published.png").write_bytes(repository.files["images.png"])
    assert np.abs(pixels(client.folder / "drawn.png") - pixels(client.folder / "published.png")).max() <= 1
    read = [request.rsplit("/", 1)[1] for request in client.hub.requests if "/resolve/" in request]
    assert set(read) == {"model.safetensors", "config.json"}


def test_card(evaluated: Path, tmp_path: Path) -> None:
    """It is a card that the Hub reads, with the figures of the run and those of real images; no file has a path."""
    dry = tmp_path / "dry"
    dry.mkdir()
    options = (evaluated / "config.yaml").read_text()
    (evaluated / "config.yaml").write_text(options.replace("model-args: []", f"model-args: ['a={tmp_path}/b']"))
    fill(dry, evaluated, NAME, "last", None)
    card = ModelCard((dry / "README.md").read_text())
    assert {result.metric_type: result.metric_value for result in card.data.eval_results} == {  # type: ignore[attr-defined]
        "frechet_distance": 12.5,
        "precision": 0.25,
    }
    extractor = load_extractor("mnist")
    assert extractor is not None
    floor = extractor.splits["test"].floor
    assert f"| Frechet distance | 12.5 | {floor['frechet_distance']:.4g} |" in card.text
    assert f"![100 generated images]({(dry / 'images.png').name})" in card.text
    report = json.loads((dry / "evaluation.json").read_text())
    assert (report["frechet_distance"], report["floor"]) == (12.5, floor)
    assert "a=b" in (dry / "config.yaml").read_text()
    assert not [file for file in dry.iterdir() if str(tmp_path).encode() in file.read_bytes()]
    assert "data-dir" not in (dry / "config.yaml").read_text()


def test_what_is_loaded(run_200: Path, client: Client) -> None:
    """A revision of a repository; of a stranger no pickle, no code, and no file that was not asked for."""
    dry = client.folder / "dry"
    dry.mkdir()
    fill(dry, run_200, NAME, "last", None)
    files = {file.name: file.read_bytes() for file in dry.iterdir()}
    repository = client.hub.make(NAME)
    first, bad = repository.commit(files), repository.commit({"model.safetensors": b"\x80\x04 a pickle"})
    stranger = files["model.safetensors"].replace(b'"model":"linear"', b'"model":"evil.x"')
    assert stranger != files["model.safetensors"]
    client.hub.make("stranger/digits").commit({"model.safetensors": stranger, "evil/x.py": b"print('evil')"})
    client.hub.make("tester/hidden", private=True).commit(files)
    found = client.load(
        (NAME, {"revision": first}),
        (NAME, {}),
        (NAME, {"revision": "0123abc"}),
        (NAME, {"which": "best"}),
        ("stranger/digits", {}),
        ("tester/hidden", {}),
        (str(run_200), {"revision": "main"}),
    )
    missing = f"there is no such folder here, and {client.hub.url} has no repository of this name that you may read"
    assert found[0] == "(1, 1, 28, 28)"
    assert found[1].startswith(f"{NAME}: {bad} cannot be loaded (SafetensorError: ")
    assert found[2] == "revision 0123abc: there is no such branch, tag or commit; leave it out"
    assert found[3].startswith(f"{NAME}: has no best generator")
    assert found[4].startswith("stranger/digits: made by --model evil.x, which is no part of gan_dist; name that code")
    assert found[5] == f"tester/hidden: {missing}; name another, or log in with `hf auth login`"
    assert found[6] == f"revision main: {run_200} is no repository of the Hub; leave it out"
    assert not [request for request in client.hub.requests if request.endswith(".py")]


@pytest.mark.slow
def test_own_networks(data_args: list[str], client: Client) -> None:
    """Their code is published, and runs only where it is named."""
    folder = client.folder
    options = ["--model", write(folder, PAIR), "--max-steps", 20, "--eval-every", 1, "--eval-images", 300]
    run = train(1, folder / "runs" / "own", *data_args, *options)
    words = ("-m", "gan_dist.hub", "push", run, NAME, "--which", "best")
    done = client(*words, HF_TOKEN=TOKEN)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "made by --model " in done.stderr
    assert not client.hub.repositories
    done = client(*words, "--model", run / "model.py", HF_TOKEN=TOKEN)
    assert (done.returncode, done.stderr) == (0, "")
    files = client.hub.repositories[NAME].files
    assert files["model.py"].decode() == PAIR
    assert not [name for name, content in files.items() if str(folder).encode() in content]
    card = files["README.md"].decode()
    assert f'gan_dist.load_generator("{NAME}", model="model.py")' in card
    (row,) = (row for row in read_rows(run / "metrics.jsonl") if "eval_frechet_distance" in row)
    assert json.loads(files["evaluation.json"])["frechet_distance"] == row["eval_frechet_distance"]
    (folder / "model.safetensors").write_bytes(files["model.safetensors"])
    with safe_open(folder / "model.safetensors", "pt") as weights:
        assert weights.metadata()["model"] == "model.py"
    done = client(tool("hf"), "download", NAME, "model.py", "--local-dir", ".", HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert (folder / "model.py").read_text() == PAIR
    found = client.load((NAME, {}), (NAME, {"model": "model.py"}))
    assert found[0].startswith(f"{NAME}: made by --model model.py, which is no part of gan_dist")
    assert found[1] == "(1, 1, 28, 28)"
    (run / "model.py").write_text(f"{PAIR}\nDATA = '{run.parent}/digits'\n")
    (folder / "dry").mkdir()
    with pytest.raises(UserError, match=rf"model.py: has a path of this machine \({run.parent}\) in it; "):
        fill(folder / "dry", run, NAME, "last", str(run / "model.py"))


def test_bad_input_is_one_line(run_200: Path, client: Client) -> None:
    for args, words in (
        ([run_200, NAME], f"no token for {client.hub.url}: log in with `hf auth login`, or set HF_TOKEN"),
        ([run_200, "a/--b"], "a/--b: is no name of a repository; it is user/name, "),
        ([run_200 / "generator", NAME], f"{run_200}/generator: is no run folder, as it has no config.yaml; "),
        ([run_200, NAME, "--dry-run", run_200], f"--dry-run {run_200}: is there already; "),
        ([run_200, NAME, "--dry-run", "no/where"], "--dry-run no/where: there is no folder no; "),
    ):
        done = client("-m", "gan_dist.hub", "push", *args)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert done.stderr.startswith(f"error: {words}")
    assert client.hub.requests == []


def test_there_must_be_weights(run_200: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--which best: .* was never evaluated; take the last one"):
        fill(tmp_path, run_200, NAME, "best", None)
    (tmp_path / "config.yaml").write_text("recipe: linear")
    with pytest.raises(UserError, match="has no batch-size, dataset, eval-images, objective; name another"):
        fill(tmp_path, tmp_path, NAME, "last", None)
    shutil.copy(run_200 / "config.yaml", tmp_path)
    with pytest.raises(UserError, match="has no final weights yet; train it to its end, or take --which best"):
        fill(tmp_path, tmp_path, NAME, "last", None)


def test_a_hub_that_refuses(client: Client) -> None:
    nothing = f"{NAME}: nothing was published, as"
    words = f"{nothing} {client.hub.url} does not know this token; log in with `hf auth login` again"
    assert client.ask(False, token="hf_wrong")[0] == words
    client.hub.fail_at = "repos/create"
    assert client.ask(False, token=TOKEN)[0].startswith(f"{nothing} this token may not write there")
    assert not client.hub.repositories
    client.hub.fail_at = ""
    first, second, _ = client.ask(False, True, token=TOKEN)
    assert first == f"{client.hub.url}/{NAME}"
    assert second.startswith(f"--private: {NAME} is there and is public; ")
    assert client.hub.repositories[NAME].messages == ["a message"]


def test_no_network(client: Client) -> None:
    client.hub.__exit__()
    words = f"{client.hub.url} cannot be reached ([Errno 111] Connection refused); try again later"
    assert client.ask(False, token=TOKEN) == [
        f"{NAME}: nothing was published, as {words}",
        f"tester/nothing: there is no such folder here, and {words}",
    ]
