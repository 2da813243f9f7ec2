"""cloud/train.sbatch with stand-ins for Slurm's commands, and the real launcher."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.harness.runs import wait_until
from tests.processes.test_launch_sh import before_path, command

# srun: its options, then the command of the one node; scancel: the signal to every process of that step.
SRUN = 'while [ "${1#--}" != "$1" ]; do shift; done; echo $$ >step; SLURM_NODEID=0 exec "$@"'
SCANCEL = f"""exec {sys.executable} -c 'import psutil, signal, sys
step = psutil.Process(int(open("step").read()))
for process in [step, *step.children(recursive=True)]:
    process.send_signal(getattr(signal, "SIG" + sys.argv[1].split("=")[1]))' "$1" """
SCONTROL = 'if [ "$1" = requeue ]; then touch requeued; else echo 127.0.0.1; fi'


def test_a_save_outlasts_the_launchers_patience(tmp_path: Path) -> None:
    """The launcher kills its processes so many seconds after SIGTERM (30 by itself); the job's end is 120 s away."""
    (tmp_path / "gan_dist").mkdir()
    shutil.copy(ROOT / "tests/programs/slow_save.py", tmp_path / "gan_dist" / "train.py")
    shutil.copytree(ROOT / "accelerate_configs", tmp_path / "accelerate_configs")
    for name, script in (("srun", SRUN), ("scancel", SCANCEL), ("scontrol", SCONTROL)):
        command(tmp_path / "tools", name, script)
    environment = {
        "PATH": before_path(tmp_path / "tools"),
        "VENV": sys.prefix,
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NODELIST": "localhost",
        "SLURM_NNODES": "1",
        "SLURM_GPUS_ON_NODE": "2",
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "2",
    }
    line = ["bash", str(ROOT / "cloud" / "train.sbatch"), "5"]
    with (tmp_path / "words").open("w") as words:
        job = subprocess.Popen(line, env=os.environ | environment, stdout=words, stderr=words, text=True)
    wait_until((tmp_path / "started").exists, job, 60)
    job.send_signal(signal.SIGUSR1)
    job.wait(timeout=60)
    assert (tmp_path / "saved").exists(), (tmp_path / "words").read_text()
    assert (tmp_path / "requeued").exists()
