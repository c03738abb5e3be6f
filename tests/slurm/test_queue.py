"""What `aigc ls` says of jobs on a real SLURM that are cancelled, killed or lost, and what `aigc cancel` does."""

import json
import os
import shutil
import signal

import pytest

from tests.launch.tiny_runs import assert_same, place_at, start
from tests.slurm.submitting import CPU, SLOW, TINY, TWO, aigc, ended, listed, log, submitted, told, under_way
from tests.waiting import takes_at_most, wait_until

pytestmark = pytest.mark.slow


def test_cancel_takes_a_waiting_run_out_of_the_queue(slurm, folder):
    run, job = submitted(slurm, folder / "waiting", *CPU, "+cluster.sbatch.begin=now+1hour")
    assert listed(slurm, folder / "waiting")["queue"] == "queued (BeginTime)"
    assert f"job {job} on slurm" == json.loads((run.path / "status.json").read_text())["message"]
    assert "interrupted" in told(slurm, folder / "waiting", "cancel", "latest")
    assert slurm.state(job) == "CANCELLED"
    refused = aigc(slurm, folder / "waiting", "cancel", "latest")
    assert refused.wait() == 2
    assert "there is nothing to cancel" in refused.output


def test_cancel_lets_a_working_run_save_and_does_not_requeue_it(slurm, folder, whole):
    run, job = submitted(slurm, folder / "working", *CPU, *SLOW)
    under_way(run)
    assert "interrupted" in told(slurm, folder / "working", "cancel", "latest")
    ended(slurm, run, job, "interrupted")
    assert slurm.field(job, "Restarts") == "0"
    step = run.manifest["attempts"][-1]["to_step"]
    assert step >= 2
    assert (run.checkpoints / f"step-{step:06d}.ckpt").exists() or list(run.checkpoints.glob("*.ckpt"))
    told(slurm, folder / "working", "resume", "latest", "--trust=tests")
    assert_same(run, whole[0])


def test_a_job_that_someone_else_cancels_while_it_waits_reads_as_killed(slurm, folder):
    run, job = submitted(slurm, folder / "scancelled", *CPU, "+cluster.sbatch.begin=now+1hour")
    assert run.status == "pending"
    slurm.run("scancel", job)
    row = listed(slurm, folder / "scancelled")
    assert row["status"] == "killed"
    assert row["message"].startswith(f"job {job} is gone (CANCELLED)")


def test_scancel_of_a_working_job_saves_and_does_not_requeue(slurm, folder):
    run, job = submitted(slurm, folder / "scancel-working", *CPU, *SLOW)
    under_way(run)
    slurm.run("scancel", job)
    ended(slurm, run, job, "preempted")
    row = listed(slurm, folder / "scancel-working")
    assert row["message"].startswith(f"job {job} was cancelled"), row
    assert slurm.state(job) == "CANCELLED"


@pytest.mark.parametrize("ranks", [CPU, TWO], ids=["alone", "one_of_two"])
def test_a_killed_process_is_noticed_within_a_minute(ranks, slurm, folder):
    place = folder / f"killed-{ranks[1][-1]}"
    run, job = submitted(slurm, place, *ranks, *SLOW, "trainer.max_steps=1000")
    under_way(run)
    os.kill(json.loads((run.path / "status.json").read_text())["pid"], signal.SIGKILL)
    with takes_at_most(60):
        wait_until(lambda: listed(slurm, place)["status"] == "killed", lambda: log(run), pause=1)
    ended(slurm, run, job, "killed")
    assert run.manifest["attempts"][-1]["status"] == "killed"


def test_another_rank_that_dies_ends_the_job_and_is_named(slurm, folder):
    fault = ["+callbacks.fail._target_=tests.launch.rank_faults.FailAt", "+callbacks.fail.step=3", "--trust=tests"]
    run, job = submitted(slurm, folder / "fails", *TWO, *fault)
    ended(slurm, run, job, "failed")
    assert "this rank is broken" in json.loads((run.path / "status.json").read_text())["message"]


def test_a_node_that_fails_is_noticed(slurm, folder):
    place = folder / "node"
    run, job = submitted(slurm, place, *CPU, *SLOW, "cluster.requeue=never", "trainer.max_steps=1000")
    under_way(run)
    slurm.run("scontrol", "update", f"NodeName={slurm.host}", "State=down", "Reason=test")
    try:
        wait_until(lambda: slurm.state(job) == "NODE_FAIL", lambda: slurm.state(job), pause=0.2)
        wait_until(lambda: listed(slurm, place)["status"] not in ("running", "pending"), lambda: log(run), pause=1)
        assert listed(slurm, place)["queue"] == "gone (NODE_FAIL)"
    finally:

        def resumed():
            slurm.run("scontrol", "update", f"NodeName={slurm.host}", "State=resume")
            return slurm.run("sinfo", "-h", "-o", "%T") in ("idle", "mixed", "allocated")

        wait_until(resumed, slurm.output, pause=0.5)


def test_one_call_to_the_queue_serves_all_runs_and_none_is_made_for_runs_never_submitted(slurm, folder):
    place, calls = place_at(folder / "many"), folder / "calls"
    counting = folder / "bin"
    counting.mkdir()
    real = shutil.which("squeue", path=slurm.env["PATH"])
    (counting / "squeue").write_text(f"#!/bin/sh\necho called >> '{calls}'\nexec {real} \"$@\"\n")
    (counting / "squeue").chmod(0o755)
    env = {"PATH": f"{counting}:{slurm.env['PATH']}"}
    told(slurm, place, "train", *TINY, **env)
    told(slurm, place, "ls", **env)
    assert not calls.exists()
    hold = [*CPU, "+cluster.sbatch.hold=true"]
    jobs = [json.loads(told(slurm, place, "submit", *TINY, *hold, "--json", **env))["job"] for _ in range(3)]
    rows = [json.loads(line) for line in told(slurm, place, "ls", "--json", **env).splitlines()]
    assert calls.read_text().splitlines() == ["called"]
    assert [(row["job"], row["queue"]) for row in rows[:3]] == [(job, "queued (JobHeldUser)") for job in jobs[::-1]]
    assert (rows[3]["status"], rows[3]["job"]) == ("finished", None)
    assert f"job {jobs[-1]}, queued (JobHeldUser)" in " ".join(told(slurm, place, "show", "latest", **env).split())
    slurm.run("scancel", *jobs)


def test_a_queue_that_does_not_answer_is_said_and_nothing_is_guessed(slurm, folder):
    _run, job = submitted(slurm, folder / "silent", *CPU, "+cluster.sbatch.hold=true")
    nowhere = folder / "nowhere.conf"
    nowhere.write_text("")
    child = start(folder / "silent", ["ls", "--json"], PATH=slurm.env["PATH"], SLURM_CONF=str(nowhere))
    assert child.wait() == 0
    assert "the queue cannot be queried" in child.output
    assert json.loads(child.output.splitlines()[-1])["status"] == "pending"
    slurm.run("scancel", job)


def test_a_job_that_sbatch_was_killed_after_queueing_is_found(slurm, folder):
    killed = folder / "killed/bin"
    killed.mkdir(parents=True)
    real = shutil.which("sbatch", path=slurm.env["PATH"])
    (killed / "sbatch").write_text(f'#!/bin/sh\n{real} "$@" >/dev/null\nkill -TERM $$\n')
    (killed / "sbatch").chmod(0o755)
    env = {"PATH": f"{killed}:{slurm.env['PATH']}"}
    run, job = submitted(slurm, folder / "found", *CPU, "+cluster.sbatch.hold=true", **env)
    assert slurm.run("squeue", "-h", "-o", "%o", "-j", job) == str(run.path / "job.sh")
    slurm.run("scancel", job)


def test_what_sbatch_refuses_leaves_nothing_behind(slurm, folder):
    place = place_at(folder / "refused")
    child = aigc(slurm, place, "submit", *TINY, *CPU, "cluster.partition=nowhere")
    assert child.wait() == 2
    assert "sbatch refuses the job" in child.output
    assert "invalid partition specified: nowhere" in child.output
    assert list((place / "outputs/runs").iterdir()) == []
