"""Options: errors are one line and exit code 2, and touch nothing; recipes go around in a circle."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gan_dist.config.resolve import parse
from tests.conftest import ROOT, train_alone


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ("--lrg 3", r"unknown option --lrg; did you mean --lr-g\?"),
        ("--lr-g x", "--lr-g"),
        ("--lr-g", "--lr-g: needs a value"),
        ("--lr-g nan", "--lr-g nan: must be greater than 0"),
        ("--lr-d -1", "--lr-d -1.0: must be greater than 0"),
        ("--epochs 0", "--epochs 0: must be greater than 0"),
        ("--max-steps -3", "--max-steps -3: must be greater than 0"),
        ("--seed -1", "--seed -1: must be 0 or greater"),
        ("--lr-end 1.5", "--lr-end 1.5: must be at most 1"),
        ("--betas 0.5 1", "--betas"),
        (
            "--dataset cifar",
            "--dataset cifar: neither a known data set nor a path; take mnist, .*, a folder of pictures",
        ),
        ("--image-size 30", "--image-size 30: must be a multiple of 4"),
        ("--image-size 0", "--image-size 0: must be greater than 0"),
        ("--channels 2", "'2' for argument '--channels'"),
        ("--background blu", "--background blu: must be a colour such as white"),
        ("--model transformer", "--model transformer: .* conv, dcgan, linear"),
        ("--recipe big", "--recipe big: .* conv, fashion-mnist, linear"),
        ("--recipe gone.yaml", "--recipe gone.yaml: no such file"),
        ("surplus", "'surplus' belongs to no option"),
        ("--epochs 0.5", "--epochs 0.5: must be a whole number; --max-steps"),
        ("--max-steps many", "--max-steps many: must be a whole number$"),
        ("--clip-grad-norm x", "--clip-grad-norm x: must be a number$"),
        ("--seed 1e30", r"--seed 1e30: must be less than 2\*\*63"),
        ("--betas 0.5", "--betas: needs 2 values"),
        ("--betas 0.5 x", "--betas '0.5', 'x': must be numbers"),
    ],
)
def test_bad_value_is_one_line(args: str, expected: str, tmp_path: Path) -> None:
    done = train_alone(*args.split(), "--run-dir", tmp_path / "run", "--data-dir", tmp_path / "data")
    assert done.returncode == 2
    assert re.fullmatch(f"error: .*{expected}.*\n", done.stderr), done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("learning-rate: 1", "unknown option --learning-rate"),
        ("lr-g: fast", "--lr-g"),
        ("- 1\n- 2", "option: value"),
        ("a: [", "cannot be read as yaml"),
    ],
)
def test_bad_recipe_names_the_file(text: str, expected: str, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(text)
    done = train_alone("--recipe", recipe)
    assert done.returncode == 2
    assert re.fullmatch(f"error: --recipe {recipe}: .*{expected}.*\n", done.stderr), done.stderr


def test_errors_are_one_line_where_stdout_is_ascii() -> None:
    done = train_alone("--dtype", "half", PYTHONIOENCODING="ascii")
    expected = "invalid choice 'half' for argument '--dtype'. Expected one of ('float32', "
    assert done.stderr.startswith(f"error: {expected}"), done.stderr
    assert done.stderr.count("\n") == 1
    assert "--- " not in done.stderr


@pytest.mark.parametrize("value", ["abc", "0", "-1"])
def test_number_of_processes_that_is_none(value: str) -> None:
    done = train_alone(WORLD_SIZE=value)
    assert done.returncode == 2
    assert re.fullmatch(f"error: WORLD_SIZE={value}: .* unset it\n", done.stderr), done.stderr


def test_reader_that_leaves_is_no_error() -> None:
    command = [sys.executable, str(ROOT / "gan_dist" / "train.py"), "--help"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 0


def test_batch_with_fewer_images_than_processes() -> None:
    done = train_alone("--batch-size", 10, "--accumulate", 2, WORLD_SIZE="6")
    assert (done.returncode, done.stderr) == (
        2,
        "error: --batch-size 10: is not one image for each of 6 processes in each of 2 parts; take 12, or start 5 "
        "(on GPUs: CUDA_VISIBLE_DEVICES=0,1,2,3,4)\n",
    )


def test_command_line_beats_recipe_beats_default(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("lr_g: 5e-4\nbatch-size: 32\nmax-steps: null\n")  # underscores are fine, too
    config = parse(["--recipe", str(recipe), "--batch-size", "16"])
    assert (config.optimizer.lr_g, config.run.batch_size, config.optimizer.lr_d) == (5e-4, 16, 2e-4)
    assert config.run.recipe == "mine"


def test_words_of_yaml_are_taken_as_written(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("mixed-precision: no\ntracker: no\ndeterministic: yes\nmax-steps: 2e3\nbetas: [0.1, 0.2]\n")
    config = parse(["--recipe", str(recipe), "--epochs", "1e2", "--checkpoint_every=1e1"])
    assert (config.run.mixed_precision, config.output.trackers) == ("no", [])
    assert (config.run.deterministic, config.optimizer.betas) == (True, (0.1, 0.2))
    assert (config.run.max_steps, config.run.epochs, config.checkpoint.checkpoint_every) == (2000, 100, 10)
    recipe.write_text("deterministic: false\ntracker: off\nmax-steps: ~\nrun-dir: on\n")
    config = parse(["--recipe", str(recipe), "--max-steps", "None"])
    assert (config.run.deterministic, config.output.trackers, config.run.run_dir) == (False, [], "on")


def test_home_is_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_text("data-dir: ~/data")
    config = parse(["--recipe", "~/mine.yaml", "--run-dir=~/run", "--resume", "~/run"])
    assert config.data.data_dir == f"{tmp_path}/data"
    assert config.run.run_dir == config.checkpoint.resume == f"{tmp_path}/run"


@pytest.mark.parametrize("recipe", [file.stem for file in (ROOT / "gan_dist" / "recipes").glob("*.yaml")])
def test_printed_config_is_a_recipe(recipe: str, tmp_path: Path) -> None:
    args = ["--recipe", recipe, "--betas", "0.1", "0.9", "--max-steps", "7"]
    printed = tmp_path / "config.yaml"
    printed.write_text(train_alone(*args, "--print-config").stdout)
    assert yaml.safe_load(printed.read_text())["betas"] == [0.1, 0.9]
    assert parse(["--recipe", str(printed)]) == parse(args)


def test_help_has_every_option_and_its_default() -> None:
    help_text = train_alone("--recipe", "conv", "--help").stdout
    for option in parse([]).to_dict():
        assert re.search(f"--{option}[ ,]", help_text)
    assert "(default: conv)" in help_text


def test_files_beside_train_hide_no_module(tmp_path: Path) -> None:
    """Run as a script, `import errors` must not find gan_dist/errors.py."""
    (tmp_path / "errors.py").write_text("")
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit\ndef late():\n    import errors\n    print(errors.__file__)\natexit.register(late)\n"
    )
    done = train_alone("--print-config", PYTHONPATH=str(tmp_path))
    assert done.stdout.splitlines()[-1] == str(tmp_path / "errors.py")


def test_options_do_not_wait_for_torch() -> None:
    code = "import sys; from gan_dist.config.resolve import parse; parse([]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ).returncode == 0


def test_check_of_options_and_data_does_not_wait_for_torch(data_args: list[str]) -> None:
    """It comes before each launch by launch.sh."""
    code = "import sys; from gan_dist.download import main; main(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, *data_args], cwd=ROOT, env=os.environ).returncode == 0
