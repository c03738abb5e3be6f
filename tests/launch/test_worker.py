"""The worker as a launcher starts it: a separate process that gets only the run folder."""

import os
import subprocess
import sys

import pytest
import torch

from aigc.config import compose
from aigc.data.text import TextData
from aigc.launch import components
from aigc.launch.start import start
from aigc.runs import Run
from tests.launch.forking import server
from tests.launch.tiny_runs import command, finish, place_at
from tests.small_models import shrink_models
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


def frozen(place, *overrides):
    shrink_models(place)
    run = start(compose(overrides), overrides).run
    return Run.open(place / run.path)


def worker(run, place):
    """A worker that is forked."""
    return server().start([str(run.path)], place, module="aigc.launch.worker")


def test_a_frozen_run_is_pending_and_then_trained(own_place):
    run = frozen(own_place, "debug=fast", "logger=none")
    assert run.status == "pending"
    command = [sys.executable, "-m", "aigc.launch.worker", str(run.path)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert run.status == "finished"
    assert (run.model / "config.json").is_file()
    made = run.log.stat().st_mode  # a file as this process makes them
    assert {path.stat().st_mode for path in run.model.rglob("*") if path.is_file()} == {made}


def test_a_failure_is_recorded_in_status_manifest_and_log(own_place):
    (own_place / "mine.txt").write_text("春眠不覺曉\n處處聞啼鳥\n夜來風雨聲\n花落知多少\n" * 20, encoding="utf-8")
    run = frozen(
        own_place, "debug=fast", f"data.path={own_place}/mine.txt", "data.text_column=null", "data.batch_size=1"
    )
    (own_place / "mine.txt").unlink()
    child = worker(run, own_place)
    assert child.wait() == 2
    assert "mine.txt" in child.output
    assert run.status == "failed"
    assert run.manifest["attempts"][-1]["exit_code"] == 2
    assert "Traceback" in run.log.read_text("utf-8")


class DrawingData(TextData):
    """Data that draw a random number when they are opened."""

    def setup(self, stage=None):
        super().setup(stage)
        self.drawn = torch.rand(()).item()


def test_what_data_draw_depends_on_the_seed_and_not_on_the_process(own_place):
    (own_place / "pyproject.toml").write_text('[tool.aigc]\ntrusted = ["tests"]\n')
    overrides = ["debug=fast", "data._target_=tests.launch.test_worker.DrawingData"]
    prepared = start(compose(overrides), overrides)
    torch.rand(7)
    again = start(compose(overrides), overrides)
    assert prepared.data.drawn == again.data.drawn
    cfg = Run.open(prepared.run.path).config  # as a worker opens them
    components.prepare_machine(cfg)
    assert components.build_data(cfg).drawn == prepared.data.drawn
    other = start(compose([*overrides, "seed=1"]), overrides)
    assert other.data.drawn != prepared.data.drawn


def test_a_killed_run_reads_as_killed(own_place):
    run = frozen(own_place, "trainer.max_steps=100000", "callbacks.progress.every_seconds=0")
    child = worker(run, own_place)
    wait_until(lambda: "step 2 of" in child.output or child.ended)
    assert run.status == "running"
    child.kill()
    assert run.status == "killed"


def test_a_launch_parses_once_checks_once_and_opens_the_data_once(tmp_path):
    place = place_at(tmp_path / "once")
    places = {
        "parsed": "hydra.core.override_parser.overrides_parser:OverridesParser.parse_override",
        "checked": "aigc.config.check:find_problems",
        "opened": "aigc.launch.components:build_data",
    }
    faults = [["count_calls", where, str(tmp_path / name)] for name, where in places.items()]
    arguments = [one for one in command("language_model", 2, 2, "optimizer.lr=1e-3") if one != "run.resume=auto"]
    finish(place, arguments, *faults)
    counts = {name: int((tmp_path / name).read_text()) for name in places}
    assert counts == {"parsed": len(arguments) - 1, "checked": 1, "opened": 1}
