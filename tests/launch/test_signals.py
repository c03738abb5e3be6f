"""A run that is asked to stop ends between two steps and loses nothing; one that cannot continue reports why."""

import signal
import time
from pathlib import Path

import pytest
import torch

from aigc.runs import Run
from aigc.runs.checkpoints import damage
from aigc.runs.metrics_file import read
from aigc.runs.status import read_status
from tests.drawing import covering, drawn
from tests.launch.forking import Child
from tests.launch.tiny_runs import (
    SIGNALS,
    assert_same,
    command,
    finish,
    go,
    place_at,
    reached,
    run_in,
    saved,
    start,
    the_run,
    wait_in,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

STEPS, VALIDATE = 12, 4
TRAINING = "aigc.tasks.language.causal_lm:CausalLM.training_step"
PHASES = {
    "training": (TRAINING, 6),
    "accumulating": (TRAINING, 5 * 2 + 1),
    "saving": ("aigc.callbacks.checkpoint_io:_Hashed.write", 500),
    "saving_in_a_thread": ("aigc.callbacks.checkpoint_io:_Hashed.write", 500),
    "validating": ("aigc.tasks.language.causal_lm:CausalLM.validation_step", 2),
    "generating": ("aigc.generation.texts:_generate_batch", 1),
}
MORE = {
    "accumulating": ["trainer.accumulate_grad_batches=2"],
    "saving_in_a_thread": ["callbacks.checkpoints.asynchronous=true"],
}
CODES = dict.fromkeys(SIGNALS, (75, "preempted")) | {signal.SIGINT: (130, "interrupted")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("signals")


@pytest.fixture(scope="module")
def whole(folder: Path) -> dict[str, Run]:
    """The runs that were never asked to stop, by what is accumulated."""
    runs = {}
    for name, more in (("plain", []), ("accumulating", MORE["accumulating"])):
        place = place_at(folder / name)
        finish(place, arguments(*more))
        runs[name] = the_run(place)
    return runs


@pytest.fixture
def place(folder: Path, request: pytest.FixtureRequest) -> Path:
    return place_at(folder / request.node.name)


def arguments(*more: str) -> list[str]:
    return command("language_model", STEPS, VALIDATE, *more)


def waiting(place: Path, where: tuple[str, int], *more: str, for_ever: bool = False) -> Child:
    return wait_in(place, arguments(*more), *where, for_ever=for_ever)


def assert_ended_well(place: Path, child: Child, number: int) -> None:
    code, status = CODES[number]
    assert child.wait() == code, child.output
    run = the_run(place)
    last = run.manifest["attempts"][-1]
    assert (run.status, last["status"], last["exit_code"]) == (status, status, code)
    assert last["end"]
    assert reached(run) == saved(run) == last["to_step"] == read_status(run.path).step
    assert [reason for path in run.checkpoints.glob("*.ckpt") if (reason := damage(path))] == []
    assert "Traceback" not in child.output
    assert ("interrupted" if code == 130 else f"asked to stop ({signal.Signals(number).name})") in child.output


def name_of(value: object) -> str:
    """The name of a case."""
    if isinstance(value, tuple):
        return "_".join(map(name_of, value))
    return value.name if isinstance(value, signal.Signals) else str(value)


def end_with(child: Child, number: int) -> int:
    """Send a second signal until it ends, as a slow process may take both for one request."""
    while not child.ended:
        child.send(number)
        time.sleep(0.7)
    return child.wait()


@pytest.mark.parametrize(("phase", "number"), covering("signals", [*PHASES], SIGNALS), ids=name_of)
def test_a_signal_loses_nothing(phase, number, place, whole):
    child = waiting(place, PHASES[phase], *MORE.get(phase, []))
    child.send(number)
    time.sleep(0.05)
    go(place)
    assert_ended_well(place, child, number)
    finish(place, ["resume", "latest"])
    assert_same(the_run(place), whole.get(phase, whole["plain"]))
    assert [attempt["status"] for attempt in the_run(place).manifest["attempts"]] == [CODES[number][1], "finished"]


def test_a_signal_after_the_last_step_lets_the_run_finish(place, whole):
    child = waiting(place, ("aigc.launch.train:save_model_folder", 1))
    child.send(signal.SIGTERM)
    go(place)
    assert child.wait() == 0, child.output
    assert the_run(place).status == "finished"
    assert_same(the_run(place), whole["plain"])


@pytest.mark.parametrize("number", drawn("early signals", SIGNALS, 1), ids=name_of)
def test_a_signal_before_the_run_exists_leaves_nothing(number, place):
    faults = ["wait_in", "aigc.data.text.prepared:read_corpus", str(place / "waits"), 1]
    child = start(place, arguments(), faults, cache="own-cache")
    wait_until((place / "waits").exists)
    child.send(number)
    time.sleep(0.05)
    go(place)
    assert child.wait() == CODES[number][0], child.output
    assert run_in(place) is None
    assert [path for path in (place / "own-cache").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("phase", "numbers"),
    covering(
        "second signals",
        ["training", "generating", "saving"],
        [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGTERM), (signal.SIGUSR1, signal.SIGINT)],
    ),
    ids=name_of,
)
def test_a_second_signal_exits_at_once_with_the_code_of_the_first(phase, numbers, place, whole):
    first, second = numbers
    child = waiting(place, PHASES[phase], for_ever=True)
    child.send(first)
    time.sleep(0.7)
    assert not child.ended
    code, status = CODES[first]
    assert end_with(child, second) == code
    run = the_run(place)
    assert run.status == status
    finish(place, ["resume", "latest"])
    assert_same(the_run(place), whole["plain"])


@pytest.mark.parametrize("number", drawn("twice", [signal.SIGINT, signal.SIGTERM], 1), ids=name_of)
def test_the_manifest_records_an_attempt_that_a_second_signal_ended(number, place):
    child = waiting(place, PHASES["training"], for_ever=True)
    child.send(number)
    time.sleep(0.7)
    end_with(child, number)
    finish(place, ["resume", "latest"])
    assert the_run(place).manifest["attempts"][0]["status"] == CODES[number][1]


def test_the_same_signal_twice_in_a_moment_is_one_request(place):
    child = waiting(place, PHASES["training"])
    child.send(signal.SIGTERM)
    time.sleep(0.1)
    child.send(signal.SIGTERM)
    go(place)
    assert_ended_well(place, child, signal.SIGTERM)


@pytest.mark.parametrize("number", drawn("signals to groups", SIGNALS, 2), ids=name_of)
def test_a_signal_to_the_whole_group_with_data_workers_loses_nothing(number, place, whole):
    child = waiting(place, PHASES["training"], "data.num_workers=2")
    assert len(child.group) >= 3
    child.send_to_group(number)
    time.sleep(0.05)
    go(place)
    assert_ended_well(place, child, number)
    wait_until(lambda: not child.group, lambda: "data workers live on")
    finish(place, ["resume", "latest", "data.num_workers=0"])
    assert_same(the_run(place), whole["plain"])


def test_a_killed_run_with_data_workers_can_be_resumed_at_once(place, whole):
    child = waiting(place, PHASES["training"], "data.num_workers=2")
    assert child.kill() == -signal.SIGKILL
    finish(place, ["resume", "latest", "data.num_workers=0"])
    assert_same(the_run(place), whole["plain"])
    wait_until(lambda: not child.group, lambda: "data workers live on")


def assert_finite(run: Run) -> None:
    for path in run.checkpoints.glob("*.ckpt"):
        state = torch.load(path, weights_only=True)
        tensors = [*state["state_dict"].values()]
        tensors += [v for o in state["optimizer_states"] for s in o["state"].values() for v in s.values()]
        assert all(torch.isfinite(tensor).all() for tensor in tensors), path


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_non_finite_loss_ends_the_run_before_it_is_saved(value, place):
    child = start(place, arguments("callbacks.checkpoints.every_n_steps=1"), ["non_finite_loss", 7, value])
    assert child.wait() == 3, child.output
    run = the_run(place)
    assert "not finite at step 7, batch 6, training samples " in child.output
    assert (run.status, run.manifest["attempts"][-1]["exit_code"]) == ("diverged", 3)
    assert saved(run) == reached(run) == 6
    assert_finite(run)


@pytest.mark.parametrize("more", [[], ["trainer.gradient_clip_val=null"], ["scheduler=null"]], ids=str)
def test_a_far_too_large_learning_rate_is_reported_and_checkpoints_stay_intact(more, place):
    every = "callbacks.checkpoints.every_n_steps=1"
    child = start(place, ["train", *arguments(*more, "optimizer.lr=1e30", every)[1:]])
    assert child.wait() == 3, child.output
    assert "lower optimizer.lr" in child.output
    assert the_run(place).status == "diverged"
    assert_finite(the_run(place))


def test_a_diverged_run_diverges_again_from_its_checkpoint(place):
    start(place, arguments(), ["non_finite_loss", 7, float("nan")]).wait()
    rows = len(read(the_run(place).path / "metrics.jsonl"))
    child = start(place, ["resume", "latest"], ["non_finite_loss", 7, float("nan")])
    assert child.wait() == 3
    assert the_run(place).manifest["attempts"][-1]["from_step"] == 6
    assert len(read(the_run(place).path / "metrics.jsonl")) == rows


@pytest.mark.parametrize("fault", ["out_of_device_memory", "out_of_host_memory"])
def test_out_of_memory_is_told_with_advice_and_loses_nothing(fault, place, whole):
    child = start(place, arguments(), [fault, 6])
    assert child.wait() == 4, child.output
    run = the_run(place)
    assert (run.status, run.manifest["attempts"][-1]["exit_code"]) == ("out_of_memory", 4)
    assert "data.batch_size=2 trainer.accumulate_grad_batches=2" in child.output
    finish(place, ["resume", "latest"])
    assert_same(run, whole["plain"])


@pytest.mark.parametrize(("step", "verb"), covering("second process", [1, 6], ["train", "resume"]))
def test_a_second_process_on_the_same_run_is_refused_without_harm(step, verb, place, whole):
    first = waiting(place, (TRAINING, step))
    second = start(place, arguments() if verb == "train" else ["resume", "latest"])
    assert second.wait() == 2
    assert f"is in use by process {first.pid} on" in second.output
    assert "Traceback" not in second.output
    assert the_run(place).status == "running"
    go(place)
    assert first.wait() == 0, first.output
    assert_same(the_run(place), whole["plain"])
    assert len(the_run(place).manifest["attempts"]) == 1
