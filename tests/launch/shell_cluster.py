"""A kind of cluster in one file: jobs are background shells, with their state in files."""

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aigc.launch.clusters import Cluster, ClusterJob, CurrentJob, JobPlan, JobState

QUEUE = "SHELLS_QUEUE"
"""Environment variable with the folder of the queue."""


@dataclass
class Shells(Cluster):
    """Jobs on this machine; one that ends with 75 waits for a file `<job>.go` before it is launched again."""

    tasks: int = 1

    name = "shells"
    variables = ("SHELLS_JOB",)

    def check_ready(self) -> None:
        Path(os.environ[QUEUE]).mkdir(exist_ok=True)

    def script(self, plan: JobPlan) -> str:
        command = shlex.join(plan.command)
        tasks = range(plan.array.tasks) if plan.array else [""]
        return f"""#!/bin/bash
cd {shlex.quote(str(plan.folder))}
exec >> {shlex.quote(str(plan.log))} 2>&1
state=${QUEUE}/$SHELLS_JOB.state
export SHELLS_LAUNCH=0 SHELLS_TASK MASTER_ADDR=127.0.0.1 MASTER_PORT=$((20000 + $$ % 10000))
for SHELLS_TASK in {" ".join(str(task) for task in tasks) or '""'}; do
  code=75
  while [ $code = 75 ]; do
    pids=
    for rank in {" ".join(map(str, range(self.tasks)))}; do
      SHELLS_RANK=$rank SHELLS_RANKS={self.tasks} {command} &
      pids="$pids $!"
    done
    echo $pids > ${QUEUE}/$SHELLS_JOB.pids
    echo RUNNING > $state
    code=0
    for pid in $pids; do wait $pid || code=$?; done
    [ $code = 75 ] || break
    echo QUEUED > $state
    until [ -e ${QUEUE}/$SHELLS_JOB.go ]; do sleep 0.05; done
    SHELLS_LAUNCH=$((SHELLS_LAUNCH + 1))
  done
  {f"case $code in 0 | 130) ;; *) {shlex.join(plan.after)} $code ;; esac" if plan.after else ":"}
done
echo ENDED > $state
"""

    def submit(self, script: Path) -> str:
        queue = Path(os.environ[QUEUE])
        job = str(len(list(queue.glob("*.state"))) + 1)
        (queue / f"{job}.state").write_text("QUEUED\n")
        shell = subprocess.Popen(
            ["bash", str(script)],
            env=os.environ | {"SHELLS_JOB": job},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        (queue / f"{job}.shell").write_text(str(shell.pid))
        return job

    @classmethod
    def queue(cls, jobs: Sequence[str]) -> dict[str, ClusterJob]:
        found = {}
        for job in jobs:
            state = (Path(os.environ[QUEUE]) / f"{job.partition('_')[0]}.state").read_text().strip()
            known = {"QUEUED": JobState.QUEUED, "RUNNING": JobState.RUNNING}
            found[job] = ClusterJob(known.get(state, JobState.GONE), state, cancelled=state == "CANCELLED")
        return found

    @classmethod
    def interrupt(cls, job: str) -> None:
        for pid in (Path(os.environ[QUEUE]) / f"{job}.pids").read_text().split():
            os.kill(int(pid), signal.SIGINT)

    @classmethod
    def cancel(cls, job: str) -> None:
        os.killpg(int((Path(os.environ[QUEUE]) / f"{job}.shell").read_text()), signal.SIGTERM)
        (Path(os.environ[QUEUE]) / f"{job}.state").write_text("CANCELLED\n")

    @classmethod
    def current_job(cls, environ: Mapping[str, str]) -> CurrentJob | None:
        if "SHELLS_JOB" not in environ:
            return None
        job, task = environ["SHELLS_JOB"], environ.get("SHELLS_TASK", "")
        launch = f"{job}-{environ['SHELLS_LAUNCH']}"
        return CurrentJob(f"{job}_{task}", launch, int(task)) if task else CurrentJob(job, launch)

    @classmethod
    def rank_variables(cls, environ: Mapping[str, str]) -> dict[str, str]:
        if "SHELLS_RANK" not in environ:
            return {}
        rank, ranks = environ["SHELLS_RANK"], environ["SHELLS_RANKS"]
        return {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": ranks}
