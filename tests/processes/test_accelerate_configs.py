"""Each accelerate config as Accelerate itself reads it; what the CPU can run of them is run."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env, prepare_simple_launcher_cmd_env
from accelerate.utils.other import get_free_port

from benchmarks.world_size import largest_difference, launch_line
from gan_dist.storage import checkpoint
from tests.conftest import ROOT, train, train_alone
from tests.harness.machines import two_machines

CONFIGS = ROOT / "accelerate_configs"
ARGS = ["--max-steps", "3", "--batch-size", "16", "--sample-every", "100", "--num-samples", "4"]

# config: type, processes on all machines, machines, on the CPU, precision
TARGETS = {
    "cpu_1": ("NO", 1, 1, True, "no"),
    "cpu_2": ("MULTI_GPU", 2, 1, True, "no"),
    "gpu_1": ("NO", 1, 1, False, "no"),
    "gpu_1_bf16": ("NO", 1, 1, False, "bf16"),
    "gpu_1_compiled": ("NO", 1, 1, False, "no"),
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
        # All GPUs, or none: use_cpu reaches no process of several.
        assert environment.get("CUDA_VISIBLE_DEVICES") == ("-1,-1" if use_cpu else None)
        assert args.nproc_per_node == str(8 if machines > 1 else processes)
    if machines > 1:
        assert (args.nnodes, args.node_rank, args.rdzv_backend) == ("2", 1, "static")
        assert args.rdzv_endpoint == "10.0.0.1:29500"
    assert environment["ACCELERATE_MIXED_PRECISION"] == precision
    compiled = name == "gpu_1_compiled"
    assert environment["ACCELERATE_DYNAMO_BACKEND"] == ("INDUCTOR" if compiled else "NO")
    assert environment["ACCELERATE_DYNAMO_MODE"] == ("reduce-overhead" if compiled else "default")


def start(name: str, options: list[str], *args: str, within: Sequence[str] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*within, *launch_line(name, options, "gan_dist/train.py", *args)],
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},  # the same everywhere: a GPU of this machine is not the target
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def check(run: Path, processes: int, precision: str) -> None:
    state = checkpoint.read_state(run / "checkpoints" / "step_00000003")
    assert (state["world_size"], state["precision"]) == (processes, precision)


SLOW = (pytest.param(name, marks=pytest.mark.slow) for name in ("cpu_1", "gpu_1_bf16", "gpu_all_bf16"))


@pytest.mark.parametrize("name", ["cpu_2", *SLOW])
def test_trains_on_the_cpu(name: str, data_args: list[str], tmp_path: Path) -> None:
    """The GPU ones too: what they say of processes and precision holds without one."""
    process = start(name, [], *data_args, *ARGS, "--run-dir", str(tmp_path / "run"))
    words, _ = process.communicate(timeout=120)
    assert process.returncode == 0, words
    assert "warning: the launcher" not in words
    _, processes, _, _, precision = TARGETS[name]
    check(tmp_path / "run", processes, precision)
    if precision == "no":  # other tests fork their processes, which is quicker
        forks = train(processes, tmp_path / "forks", *data_args, *ARGS)
        assert largest_difference(tmp_path / "run", forks) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpu_1_fp16", "gpu_all_fp16"])
def test_fp16_without_a_gpu_is_refused(name: str, data_args: list[str], tmp_path: Path) -> None:
    """Told once, by one of the processes."""
    process = start(name, [], *data_args, *ARGS, "--run-dir", str(tmp_path / "run"))
    words, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert words.count("error: --mixed-precision fp16: needs a GPU, and this is a cpu; take bf16 or no") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
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


@pytest.mark.slow
def test_two_machines_whose_names_mean_themselves(data_args: list[str], tmp_path: Path) -> None:
    """gloo by itself binds 127.0.1.1: one side fails, the other waits for ever."""
    with two_machines() as names:
        launchers = [
            start(
                "machines_2",
                ["--machine_rank", str(rank), "--main_process_ip", "first"],
                *[*data_args, *ARGS, "--run-dir", str(tmp_path / "run")],
                within=["ip", "netns", "exec", name],
            )
            for rank, name in enumerate(names)
        ]
        for launcher in launchers:
            words, _ = launcher.communicate(timeout=60)
            assert launcher.returncode == 0, words
    check(tmp_path / "run", 2, "no")


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "processes"), [("FSDP", 2), ("MEGATRON_LM", 1)])
def test_other_kinds_are_refused(kind: str, processes: int, data_args: list[str], tmp_path: Path) -> None:
    config = (CONFIGS / "gpu_all.yaml").read_text().replace("MULTI_GPU", kind)
    (tmp_path / f"{kind}.yaml").write_text(config)
    options = ["--num_processes", str(processes)]
    process = start(str(tmp_path / kind), options, *data_args, *ARGS, "--run-dir", str(tmp_path / "run"))
    words, _ = process.communicate(timeout=120)
    assert words.count("error: ") == 1, words
    assert f"error: distributed_type {kind}: each process must hold both networks whole" in words
    assert "exitcode  : 2" in words
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("ACCELERATE_USE_DEEPSPEED", "true", "distributed_type DEEPSPEED: each process must hold both networks whole"),
        ("ACCELERATE_MIXED_PRECISION", "fp8", "mixed_precision fp8: take --mixed-precision no, bf16 or fp16"),
    ],
)
def test_what_its_launcher_refuses_without_their_packages(
    variable: str, value: str, expected: str, data_args: list[str], tmp_path: Path
) -> None:
    """So here it is what the launcher would hand on."""
    done = train_alone(*data_args, *ARGS, "--run-dir", tmp_path / "run", **{variable: value})
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {expected}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_several_processes_from_a_config_of_one(data_args: list[str], tmp_path: Path) -> None:
    process = start("cpu_1", ["--num_processes", "2"], *data_args, *ARGS, "--run-dir", str(tmp_path / "run"))
    words, _ = process.communicate(timeout=120)
    assert process.returncode == 0, words
    assert words.count("warning: the launcher was asked for several processes and started one") == 1
