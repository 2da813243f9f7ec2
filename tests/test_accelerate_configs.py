"""Each accelerate config as Accelerate itself reads it; what the CPU can run of them is run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env, prepare_simple_launcher_cmd_env
from accelerate.utils.other import get_free_port

from benchmarks.world_size import launch_line
from gan_dist import checkpoint
from tests.conftest import ROOT

CONFIGS = ROOT / "accelerate_configs"
ARGS = ["--max-steps", "3", "--batch-size", "16", "--sample-every", "100", "--num-samples", "4"]

# config: type, processes on all machines, machines, on the CPU, precision
TARGETS = {
    "cpu_1": ("NO", 1, 1, True, "no"),
    "cpu_2": ("MULTI_GPU", 2, 1, True, "no"),
    "gpu_1": ("NO", 1, 1, False, "no"),
    "gpu_1_bf16": ("NO", 1, 1, False, "bf16"),
    "gpu_1_fp16": ("NO", 1, 1, False, "fp16"),
    "gpu_all": ("MULTI_GPU", 2, 1, False, "no"),
    "gpu_all_bf16": ("MULTI_GPU", 2, 1, False, "bf16"),
    "gpu_all_fp16": ("MULTI_GPU", 2, 1, False, "fp16"),
    "machines_2": ("MULTI_GPU", 2, 2, False, "no"),
}


def test_every_config_is_a_target() -> None:
    assert {file.stem for file in CONFIGS.glob("*.yaml")} == set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_accelerate_reads_it(name: str) -> None:
    kind, processes, machines, use_cpu, precision = TARGETS[name]
    config = load_config_from_file(str(CONFIGS / f"{name}.yaml"))  # refuses keys that it does not know
    read = (config.distributed_type.value, config.num_processes, config.num_machines, config.use_cpu)
    assert read == (kind, processes, machines, use_cpu)
    assert config.mixed_precision == precision


@pytest.mark.parametrize("name", TARGETS)
def test_what_the_launcher_hands_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of train.py, and what torch's launcher is told, from Accelerate's own parser."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    kind, processes, machines, use_cpu, precision = TARGETS[name]
    options = ["--config_file", str(CONFIGS / f"{name}.yaml")]
    if machines > 1:
        options += ["--machine_rank", "1", "--main_process_ip", "10.0.0.1", "--num_processes", "16"]
    args = launch_command_parser().parse_args([*options, "gan_dist/train.py"])
    args, _, _ = _validate_launch_command(args)
    assert args.multi_gpu == (kind == "MULTI_GPU")
    if kind == "NO":
        command, environment = prepare_simple_launcher_cmd_env(args)
        assert command == [sys.executable, "gan_dist/train.py"]
        assert environment["ACCELERATE_USE_CPU"] == str(use_cpu)
    else:
        environment = prepare_multi_gpu_env(args)
        assert "CUDA_VISIBLE_DEVICES" not in environment  # all GPUs
        assert args.nproc_per_node == str(8 if machines > 1 else processes)
    if machines > 1:
        assert (args.nnodes, args.node_rank, args.rdzv_backend) == ("2", 1, "static")
        assert args.rdzv_endpoint == "10.0.0.1:29500"
    assert environment["ACCELERATE_MIXED_PRECISION"] == precision
    assert environment["ACCELERATE_DYNAMO_BACKEND"] == "NO"


def start(name: str, options: list[str], *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        launch_line(name, options, "gan_dist/train.py", *args),
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},  # the same everywhere: a GPU of this machine is not the target
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def check(run: Path, processes: int, precision: str) -> None:
    state = checkpoint.read_state(run / "checkpoints" / "step_00000003")
    assert (state["world_size"], state["precision"]) == (processes, precision)


@pytest.mark.parametrize("name", ["cpu_1", "cpu_2", "gpu_1_bf16", "gpu_all_bf16"])
def test_trains_on_the_cpu(name: str, data_args: list[str], tmp_path: Path) -> None:
    """The GPU ones too: what they say of processes and precision holds without one."""
    process = start(name, [], *data_args, *ARGS, "--run-dir", str(tmp_path / "run"))
    words, _ = process.communicate(timeout=120)
    assert process.returncode == 0, words
    check(tmp_path / "run", TARGETS[name][1], TARGETS[name][4])


@pytest.mark.parametrize("name", ["gpu_1_fp16", "gpu_all_fp16"])
def test_fp16_without_a_gpu_is_refused(name: str, data_args: list[str], tmp_path: Path) -> None:
    """Told once, by one of the processes."""
    process = start(name, [], *data_args, *ARGS, "--run-dir", str(tmp_path / "run"))
    words, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert words.count("error: --mixed-precision fp16: needs a GPU, and this is a cpu; take bf16 or no") == 1
    assert not (tmp_path / "run").exists()


def test_two_machines_on_one(data_args: list[str], tmp_path: Path) -> None:
    """Two launchers that find each other over the network; only the first has the run folder."""
    port = ["--main_process_port", str(get_free_port())]
    folders = [tmp_path / "first", tmp_path / "second"]
    launchers = [
        start("machines_2", [*port, "--machine_rank", str(rank)], *data_args, *ARGS, "--run-dir", str(folder))
        for rank, folder in enumerate(folders)
    ]
    for launcher in launchers:
        words, _ = launcher.communicate(timeout=120)
        assert launcher.returncode == 0, words
    check(folders[0], 2, "no")
    assert not folders[1].exists()
