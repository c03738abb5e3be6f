"""Runs on a real SLURM reach their result: at once, asked to stop before the limit, preempted, with several ranks."""

import json
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from aigc.runs import Run
from tests.launch.tiny_runs import assert_same, place_at
from tests.slurm.one_node import OneNode
from tests.slurm.submitting import CPU, SECRET, SLOW, TWO, ended, listed, log, submitted, told, under_way
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def limited(folder: Path, slurm: OneNode) -> list[tuple[Run, str]]:
    """A job that takes longer than its limit, and one with the same config that does not."""
    longer = [*CPU, *SLOW, "trainer.max_steps=250", "trainer.validate_every_n_steps=50"]
    limit = ["cluster.time='00:01:00'", "cluster.signal_before=10"]
    return [submitted(slurm, folder / f"limit-{len(more)}", *longer, *more) for more in (limit, [])]


def test_a_submitted_run_reaches_its_result(slurm, whole, limited):
    run, job = whole
    ended(slurm, run, job)
    assert (run.model / "model.safetensors").is_file()
    assert run.manifest["metrics"]["val/perplexity"] > 1
    assert run.manifest["jobs"][0]["id"] == job
    assert (run.path / "job.sh").is_file()


def test_the_script_holds_no_secret_and_is_for_its_owner_alone(slurm, whole):
    run, _ = whole
    script = run.path / "job.sh"
    assert stat.S_IMODE(script.stat().st_mode) == 0o600
    for path in run.path.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def test_a_run_told_to_end_before_the_limit_goes_on_to_the_same_bits(slurm, folder, whole):
    run, job = submitted(slurm, folder / "told", *CPU, *SLOW)
    under_way(run)
    slurm.run("scancel", "--signal=USR1", job)
    wait_until(lambda: slurm.state(job) == "PENDING", lambda: log(run), pause=0.1)
    assert run.status == "preempted"
    row = listed(slurm, folder / "told")
    assert (row["status"], row["job"]) == ("pending", job)
    assert row["queue"] in ("queued", "queued (BeginTime)")  # the reason comes a moment later
    slurm.start_now(job)
    ended(slurm, run, job)
    attempts = run.manifest["attempts"]
    assert [attempt["exit_code"] for attempt in attempts] == [75, 0]
    assert attempts[1]["from_step"] == attempts[0]["to_step"] > 0
    assert_same(run, whole[0])


def test_edits_after_submit_do_not_reach_the_job(slurm, folder):
    place = place_at(folder / "edited")
    (place / "mine.py").write_text(
        "from pytorch_lightning import Callback\n\n\nclass Says(Callback):\n"
        "    def on_fit_start(self, trainer, module):\n        print('the word is', 'before')\n"
    )
    (place / ".gitignore").write_text("outputs/\n.output*\n")
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=place, check=True)
    (place / "mine.py").write_text((place / "mine.py").read_text().replace("'before'", "'at submit'"))
    more = ["+callbacks.mine._target_=mine.Says", "--trust=mine", "+cluster.sbatch.hold=true"]
    run, job = submitted(slurm, place, *CPU, *more)
    (place / "mine.py").write_text("raise SystemExit('an edit has reached the job')\n")
    slurm.run("scontrol", "release", job)
    ended(slurm, run, job)
    assert "the word is at submit" in log(run)
    assert (run.path / "code/aigc/aigc/launch/worker.py").is_file()
    assert (run.path / "code/aigc/conf/train.yaml").is_file()
    assert not list(run.path.glob(".code*"))


def test_two_ranks_train_over_gloo_and_one_notice_to_end_is_one_requeue(slurm, folder):
    run, job = submitted(slurm, folder / "two", *TWO, *SLOW)
    undisturbed, other = submitted(slurm, folder / "two-whole", *TWO, *SLOW)
    under_way(run)
    slurm.run("scancel", "--signal=USR1", job)
    slurm.start_now(job)
    ended(slurm, run, job)
    attempts = run.manifest["attempts"]
    assert [attempt["exit_code"] for attempt in attempts] == [75, 0], log(run)
    assert slurm.field(job, "Restarts") == "1"
    ended(slurm, undisturbed, other)
    assert_same(run, undisturbed)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGUSR1, "preempted"), (signal.SIGINT, "interrupted")])
def test_a_signal_to_the_tasks_alone_reaches_the_ranks(number, status, slurm, folder):
    """A cluster that tracks processes by cgroups signals no child of a task."""
    run, job = submitted(slurm, folder / f"alone-{status}", *TWO, *SLOW, "cluster.requeue=never")
    under_way(run)
    assert slurm.signal_tasks(job, number) == 2
    ended(slurm, run, job, status)
    assert list(run.checkpoints.glob("*.ckpt"))
    assert slurm.field(job, "ExitCode") == f"{run.manifest['attempts'][0]['exit_code']}:0", log(run)


def test_never_requeued_means_never(slurm, folder):
    run, job = submitted(slurm, folder / "never", *CPU, *SLOW, "cluster.requeue=never")
    under_way(run)
    slurm.run("scancel", "--signal=USR1", job)
    ended(slurm, run, job, "preempted")
    assert slurm.state(job) == "FAILED"
    place = folder / "never"
    output = told(slurm, place, "submit", "--resume", "latest", "--trust=tests", "--json")
    again = json.loads(output.splitlines()[-1])["job"]
    ended(slurm, run, again)
    assert [one["id"] for one in run.manifest["jobs"]] == [job, again]


def test_a_script_that_was_edited_to_other_ranks_is_refused_with_both_numbers(slurm, folder):
    run, job = submitted(slurm, folder / "edited-script", *CPU, "+cluster.sbatch.hold=true")
    slurm.run("scancel", job)
    script = run.path / "job.sh"
    text = script.read_text().replace("ntasks-per-node=1", "ntasks-per-node=2")
    script.write_text(text.replace("#SBATCH --hold\n", ""))
    again = slurm.run("sbatch", "--parsable", str(script))
    ended(slurm, run, again, "failed")
    assert "the config has trainer.nodes=1 and trainer.devices=1, and there are 2 processes" in log(run)


def test_the_time_limit_itself_makes_a_run_save_requeue_and_finish(slurm, limited):
    """SLURM gives notice up to half a minute early, so that it may take more than one requeue."""
    (run, job), (undisturbed, other) = limited
    while run.status != "finished":
        slurm.start_now(job)
        wait_until(lambda: run.status == "running", lambda: log(run), pause=0.1)
        wait_until(lambda: run.status != "running", lambda: log(run), pause=0.1)
    ended(slurm, run, job)
    ended(slurm, undisturbed, other)
    codes = [attempt["exit_code"] for attempt in run.manifest["attempts"]]
    assert codes == [75] * (len(codes) - 1) + [0], log(run)
    assert slurm.field(job, "Restarts") == str(len(codes) - 1) != "0"
    assert "asked to stop (SIGUSR1)" in run.log.read_text("utf-8")
    assert_same(run, undisturbed)


def test_a_job_that_slurm_itself_preempts_is_requeued_once(slurm, folder, whole):
    run, job = submitted(slurm, folder / "preempted", *CPU, *SLOW)
    under_way(run)
    urgent = slurm.run("sbatch", "--parsable", "-p", "urgent", "-n", "8", "-o", "/dev/null", "--wrap", "sleep 1")
    assert urgent
    slurm.start_now(job)
    ended(slurm, run, job)
    assert slurm.field(job, "Restarts") == "1"
    assert len(run.manifest["attempts"]) == 2
    assert_same(run, whole[0])
