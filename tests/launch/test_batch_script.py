"""The batch script that `aigc submit` writes, and errors in a cluster's settings; no SLURM is needed."""

import json
import os
import shutil
import subprocess
from functools import partial

import pytest

from aigc.config import ConfigError, compose
from aigc.config.check import find_problems
from aigc.config.freeze import frozen_yaml
from aigc.errors import InputError
from aigc.launch.clusters import JobArray, JobPlan, NoAnswer
from aigc.launch.clusters import submit as submission
from aigc.launch.clusters.slurm import Slurm, commands
from aigc.launch.clusters.submit import check_cluster, cluster_of, preview, resubmit, submit
from aigc.launch.prepared_run import PreparedRun
from aigc.runs import Run
from aigc.runs.status import Status, write_status
from tests.conftest import write

SECRET = "hf_" + "a1B2" * 8


def script(*overrides: str) -> str:
    return preview(compose(["cluster=slurm", *overrides]))


def options(text: str) -> list[str]:
    return [line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH")]


def test_settings_become_options_of_sbatch(own_place):
    text = script(
        "cluster.nodes=2", "cluster.gpus=8", "cluster.time=24:00:00", "cluster.partition=a100", "+cluster.cpus=4"
    )
    for expected in ("nodes=2", "ntasks-per-node=8", "gpus-per-node=8", "time=24:00:00", "partition=a100"):
        assert expected in options(text)
    assert "signal=USR1@120" in options(text)
    assert "requeue" in options(text)
    assert "srun --kill-on-bad-exit=1 --cpus-per-task=4" in text


def test_the_script_is_one_that_bash_reads(own_place):
    for more in ([], ["cluster.gpus=2"], ["cluster.gpus=0", "cluster.tasks=1", "cluster.requeue=never"]):
        done = subprocess.run(["bash", "-n"], input=script(*more), text=True, capture_output=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_more_options_are_passed_and_keys_take_precedence(own_place):
    given = options(
        script("+cluster.sbatch={nice: 5, time: '99:00:00', exclusive: true, hold: false, comment: two words}")
    )
    assert {"nice=5", "exclusive", "time=01:00:00", 'comment="two words"'} <= set(given)
    assert not [option for option in given if option.startswith("hold")]


def test_setup_comes_before_the_ranks(own_place):
    text = script("+cluster.setup=['module load cuda', 'ulimit -n 4096']")
    assert text.index("module load cuda") < text.index("ulimit -n 4096") < text.index("srun")


def test_never_requeue_and_an_array(own_place):
    plan = JobPlan("sweep", own_place, own_place / "job-%j.log", ["true"], array=JobArray(6, 2))
    text = Slurm(requeue="never").script(plan)
    assert {"array=0-5%2", "no-requeue"} <= set(options(text))
    assert "scontrol requeue" not in text
    assert 'scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"' in Slurm().script(plan)
    assert f"output={own_place}/job-%%j.log" in options(text)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["cluster.gpus=0"], ["cluster.tasks", "0 ranks", "cluster.tasks=1"]),
        (["cluster.gpus=2", "trainer.devices=3"], ["trainer.devices", "3, but cluster.tasks is 2"]),
        (["trainer.nodes=4"], ["trainer.nodes", "4, but cluster.nodes is 1"]),
        (["cluster.time=30"], ["cluster.time", "hours:minutes:seconds"]),
        (["+cluster.memory=lots"], ["cluster.memory", "'lots'", "32G"]),
        (["+cluster.signal_before=7200"], ["cluster.signal_before", "7200 seconds before the limit of 01:00:00"]),
        (["cluster.time=00:02:00"], ["cluster.signal_before", "120 seconds before the limit of 00:02:00"]),
    ],
)
def test_a_mismatch_is_reported_with_both_numbers(overrides, message, own_place):
    with pytest.raises(ConfigError) as raised:
        check_cluster(compose(["cluster=slurm", *overrides]))
    assert all(words in str(raised.value) for words in message), raised.value


@pytest.mark.parametrize(
    ("time", "signal_before"),
    [("01:00:00", 3599), ("1-0", 65535), ("60", 3599), ("0", 65535), ("2:00", 119), ("1-00:00:01", 65535)],
)
def test_a_signal_within_the_limit_and_memory_sizes_are_accepted(time, signal_before):
    for memory in (None, 4000, "32G", "500m", "1TB"):
        settings = Slurm(time=time, signal_before=signal_before, memory=memory)
        assert list(settings.problems(1, 1)) == []


def test_a_value_that_other_keys_refer_to_is_reported_once(own_place):
    problems = find_problems(compose(["cluster=slurm", "cluster.gpus=-1"]))
    assert [problem.key for problem in problems] == ["cluster.gpus"]


def put_sbatch(folder, monkeypatch, script, squeue=None):
    """Install an sbatch that runs these lines of shell, and a squeue where lines are given for it."""
    for name, lines in {"sbatch": script, "squeue": squeue}.items():
        if lines is not None:
            write(folder / f"bin/{name}", f"#!/bin/sh\n{lines}\n").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")


def test_a_run_that_is_submitted_again_keeps_its_ranks_with_a_warning(own_place, monkeypatch, caplog):
    put_sbatch(own_place, monkeypatch, "echo 7")
    cfg = compose(["cluster=slurm", "+cluster.freeze_code=false"])
    run = Run.create(own_place / "runs", "one", frozen_yaml(cfg))
    write_status(run.path, Status.PREEMPTED)
    with pytest.raises(ConfigError, match=r"1, but cluster.tasks is 2.*trainer.devices=2 resume.allow=\[world_size\]"):
        resubmit(run, ["cluster.tasks=2"])
    assert resubmit(run, ["cluster.gpus=2"]) == "7"
    assert "the run keeps its number of ranks on each node, 1" in caplog.text
    assert {"gpus-per-node=2", "ntasks-per-node=1"} <= set(options((run.path / "job.sh").read_text()))
    write_status(run.path, Status.PREEMPTED)
    more = ["cluster.gpus=2", "cluster.tasks=2", "trainer.devices=2", "resume.allow=[world_size]"]
    with run.edit_manifest() as manifest:
        manifest.jobs = []
    assert resubmit(run, more) == "7"
    assert "ntasks-per-node=2" in options((run.path / "job.sh").read_text())


SILENCES = [
    "exec sleep 60",
    "kill -INT $$",
    "echo 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1",
]


@pytest.mark.parametrize("silence", SILENCES)
def test_a_job_without_a_reply_of_sbatch_is_searched_for_and_its_folder_is_kept(silence, own_place, monkeypatch):
    monkeypatch.setattr(commands, "_TIMEOUT", 1.0)
    run = partial(Run.create, own_place / "runs", "one")
    monkeypatch.setattr(submission, "start", lambda cfg, *_: PreparedRun(run(frozen_yaml(cfg))))
    cfg = compose(["cluster=slurm", "+cluster.freeze_code=false"])
    put_sbatch(own_place, monkeypatch, silence, squeue="echo '6|somewhere/job.sh'")
    with pytest.raises(NoAnswer, match=r"runs/one.* is kept"):
        submit(cfg, [])
    (kept,) = (own_place / "runs").iterdir()
    assert Run(kept).status == "pending"
    put_sbatch(own_place, monkeypatch, silence, squeue=f"echo '6|somewhere/job.sh'; echo '8|{kept}/job.sh'")
    assert resubmit(Run(kept), []) == "8"
    assert Run(kept).manifest["jobs"][0]["id"] == "8"


def test_an_unreachable_controller_is_reported(own_place, monkeypatch):
    put_sbatch(own_place, monkeypatch, "echo 'sbatch: fatal: Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(InputError, match="sbatch says: fatal: Unable"):
        Slurm().submit(own_place / "job.sh")


def test_several_machines_need_a_cluster(own_place):
    with pytest.raises(ConfigError, match=r"trainer.nodes .*2, but .*cluster.nodes=2"):
        check_cluster(compose(["trainer.nodes=2"]))


def test_the_trainer_follows_the_cluster(own_place):
    cfg = compose(["cluster=slurm", "cluster.nodes=2", "cluster.gpus=4", "trainer=ddp"])
    assert (cfg.trainer.nodes, cfg.trainer.devices) == (2, 4)
    assert cluster_of(compose()).runs_locally


def test_a_secret_is_refused_and_none_of_the_environment_is_written(own_place, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    assert SECRET not in script()
    with pytest.raises(InputError, match="export HF_TOKEN=<redacted>") as raised:
        script(f"+cluster.setup=['export HF_TOKEN={SECRET}']")
    assert SECRET not in str(raised.value)


@pytest.mark.slow
def test_dry_run_prints_the_script_and_writes_nothing(aigc, own_place):
    done = aigc("submit", "--dry-run", "cluster.gpus=2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("#!/bin/bash\n#SBATCH --job-name=lm-tang_quatrains-")
    assert list(own_place.iterdir()) == []


def test_a_machine_without_slurm_reports_what_to_do_and_keeps_no_run(aigc, own_place, monkeypatch):
    tools = own_place.parent / f"{own_place.name}-bin"
    tools.mkdir()
    for name in ("git", "bash"):
        (tools / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(tools))
    done = aigc("submit", "cluster.gpus=1")
    assert done.returncode == 2
    assert "sbatch" in done.stderr
    assert "aigc submit --dry-run" in done.stderr
    assert list(own_place.iterdir()) == []


def test_run_resume_auto_names_the_command_that_does_the_same(aigc, own_place):
    done = aigc("submit", "run.resume=auto")
    assert done.returncode == 2
    assert "aigc submit --resume RUN" in done.stderr


def test_train_refuses_a_config_that_names_a_cluster(aigc, own_place):
    done = aigc("train", "cluster=slurm")
    assert done.returncode == 2
    assert "cluster=slurm" in done.stderr
    assert "aigc train cluster=local" in done.stderr


def test_a_custom_cluster_is_a_class_and_a_yaml(aigc, own_place):
    write(own_place / "conf/cluster/mine.yaml", "_target_: mine.Mine\nwho: me\n")
    write(
        own_place / "mine.py",
        "import json\nfrom dataclasses import dataclass\nfrom aigc.launch.clusters.local import Local\n\n\n"
        "@dataclass\nclass Mine(Local):\n    who: str\n    name = 'mine'\n    runs_locally = False\n\n"
        "    def script(self, plan):\n        return json.dumps([self.who, *plan.command]) + '\\n'\n",
    )
    done = aigc("submit", "cluster=mine", "--dry-run", "--trust", "mine")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0] == "me"
