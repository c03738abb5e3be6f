"""A run that was stopped and gone on with is the run that was never stopped, to the last bit."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from aigc.errors import InputError
from tests.drawing import covering, drawn
from tests.launch.modules import run_ranks
from tests.training.ranks import stops
from tests.training.resumable import STEPS, TASKS, VALIDATE_EVERY, differences, final_state, rows, train

EPOCH = 12
"""Batches in an epoch of every task here."""
PLACES = {
    "first_batch": (0, 0),
    "mid_epoch": (0, 4),
    "one_before_the_epoch_ends": (0, EPOCH - 2),
    "epoch_ends": (0, EPOCH - 1),
    "one_after_the_epoch_ended": (0, EPOCH),
    "just_before_a_validation": (3, -2),
    "at_a_validation": (3, -1),
    "just_after_a_validation": (3, 0),
}
"""Validations that were done, and the batch after the last of them in which the signal comes."""
ALL_PLACES = ("language_model_accumulating", "gan")
"""Tasks that are always stopped at each of these; of the others some are drawn."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each task's run that was never stopped."""
    folders = {}
    for name in TASKS:
        folders[name] = tmp_path_factory.mktemp(name) / "whole"
        assert train(name, folders[name])
    return folders


def assert_equal(folder: Path, whole: Path) -> None:
    assert differences(final_state(folder), final_state(whole)) == []
    assert rows(folder) == rows(whole)


@pytest.mark.parametrize("name", TASKS)
def test_the_cases_are_what_they_are_said_to_be(name, whole, tmp_path):
    assert final_state(whole[name])["aigc"]["order"]["batches"] == EPOCH
    assert sorted({row["step"] for row in rows(whole[name]) if TASKS[name].monitor in row}) == [6, 12, 18, 24, 30]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        pytest.param(name, place, marks=[pytest.mark.slow] if name == "gan" else [])
        for name in TASKS
        for place in drawn(f"places of {name}", [*PLACES], 8 if name in ALL_PLACES else 2)
    ],
)
def test_resume_is_bit_exact(name, place, whole, tmp_path):
    validations, batch = PLACES[place]
    batch += validations * VALIDATE_EVERY * TASKS[name].accumulate
    assert not train(name, tmp_path, signal_at_batch=batch)
    assert train(name, tmp_path)
    assert_equal(tmp_path, whole[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_resume_is_bit_exact_after_any_batch(name, whole, tmp_path):
    last = min(TASKS[name].accumulate * (STEPS - 1), 3 * EPOCH + 2)
    for batch in drawn(f"batches of {name}", range(last), 3):
        folder = tmp_path / str(batch)
        assert not train(name, folder, signal_at_batch=batch)
        assert train(name, folder)
        assert_equal(folder, whole[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_a_run_stopped_again_and_again_is_the_same_run(name, whole, tmp_path):
    for step in drawn(f"steps of {name}", range(STEPS - 1), 6):
        assert not train(name, tmp_path, signal_at_batch=TASKS[name].accumulate * step)
    assert train(name, tmp_path)
    assert_equal(tmp_path, whole[name])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "workers"),
    covering("workers", [name for name in TASKS if TASKS[name].accumulate == 1], [(2, 2), (0, 2), (2, 0)]),
)
def test_the_number_of_workers_does_not_matter(name, workers, whole, tmp_path):
    before, after = workers
    for batch in drawn(f"workers of {name}", [4, EPOCH - 1], 1):
        folder = tmp_path / str(batch)
        assert not train(name, folder, workers=before, signal_at_batch=batch)
        assert train(name, folder, workers=after)
        assert_equal(folder, whole[name])


@pytest.mark.slow
def test_resume_is_bit_exact_on_two_ranks(tmp_path):
    said = run_ranks("tests.training.ranks", 2, tmp_path)
    assert said.count("equal") == sum(map(len, stops().values()))


def forget_random_state(state: dict[str, Any]) -> None:
    torch.manual_seed(12345)
    for rank in state["aigc"]["ranks"]:
        rank["random"]["torch"] = torch.get_rng_state()


def forget_position(state: dict[str, Any]) -> None:
    state["aigc"]["position"] |= {"epoch": 0, "batch": 0, "sample": 0}


def forget_samples(state: dict[str, Any]) -> None:
    state["aigc"]["position"]["sample"] = 0


def forget_sums(state: dict[str, Any]) -> None:
    for rank in state["aigc"]["ranks"]:
        rank["task"] |= {"logged": {"nll": 0.0, "tokens": 0}, "sum": 0.0, "means": {}}


def forget_moments(state: dict[str, Any]) -> None:
    for optimizer in state["optimizer_states"]:
        for moments in optimizer["state"].values():
            moments["exp_avg"].zero_()


FORGET = [forget_random_state, forget_position, forget_samples, forget_sums, forget_moments]


@pytest.mark.parametrize(
    ("name", "forget"),
    [
        pytest.param(name, forget, marks=[pytest.mark.slow] if name == "gan" else [])
        for forget in FORGET
        for name in TASKS
        if (name, forget) != ("gan", forget_random_state)
    ],
)
def test_what_is_missing_from_a_checkpoint_would_be_noticed(name, forget, whole, tmp_path):
    assert not train(name, tmp_path, signal_at_batch=TASKS[name].accumulate * 17)
    assert train(name, tmp_path, change=forget)
    assert differences(final_state(tmp_path), final_state(whole[name])) or rows(tmp_path) != rows(whole[name])


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GAN's run, stopped in its eighteenth step."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    assert not train("gan", folder, signal_at_batch=17)
    return folder


@pytest.mark.slow
def test_what_a_gan_draws_follows_from_seed_step_and_rank(stopped, whole, tmp_path):
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    assert train("gan", tmp_path, change=forget_random_state)
    assert_equal(tmp_path, whole["gan"])


def forget_images_seen(state: dict[str, Any]) -> None:
    state["aigc"]["ranks"][0]["task"]["images_seen"] = 0


def forget_schedules(state: dict[str, Any]) -> None:
    state["lr_schedulers"][1]["last_epoch"] = 0


def forget_weights(name: str) -> Any:
    def forget(state: dict[str, Any]) -> None:
        state["state_dict"][name].add_(1)

    return pytest.param(forget, id=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "forget",
    [
        forget_images_seen,
        forget_schedules,
        forget_weights("averaged.module.layers.0.weight"),
        forget_weights("augmentation._steps"),
        forget_weights("augmentation.probability"),
        forget_weights("regularisers.lecam.real_average"),
        forget_weights("model.discriminator.layers.0.parametrizations.weight.0._v"),
        forget_weights("model.generator.layers.1.running_mean"),
    ],
)
def test_what_is_missing_of_a_gan_would_be_noticed(forget, stopped, whole, tmp_path):
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    assert train("gan", tmp_path, change=forget)
    assert differences(final_state(tmp_path), final_state(whole["gan"]))


def test_a_validation_that_draws_would_be_noticed(tmp_path, whole, monkeypatch):
    from aigc.callbacks import ExactState

    monkeypatch.setattr(ExactState, "on_validation_end", lambda *_: None)
    assert train("two_players", tmp_path)
    assert differences(final_state(tmp_path), final_state(whole["two_players"]))


def other_batch_size(state: dict[str, Any]) -> None:
    state["aigc"]["order"]["batch_size"] = 2


def other_data(state: dict[str, Any]) -> None:
    state["aigc"]["order"]["fingerprint"] = "0" * 64


def other_length(state: dict[str, Any]) -> None:
    state["aigc"]["order"]["length"] = 99


@pytest.mark.parametrize(
    ("change", "said", "allowed"),
    [
        (other_batch_size, "batch size was 2 and is 3", "batch_size"),
        (other_data, "data fingerprint was 0000000000000000 and is", "data"),
        (other_length, "number of training samples was 99 and is 36", "data"),
    ],
)
def test_a_mismatch_is_an_error_that_names_both_values_or_is_allowed(change, said, allowed, tmp_path):
    name = "language_model"
    assert not train(name, tmp_path, signal_at_batch=4)
    with pytest.raises(InputError, match=said) as error:
        train(name, tmp_path, change=change)
    assert f"resume.allow=[{allowed}]" in str(error.value)
    assert train(name, tmp_path, allow=(allowed,))
    assert final_state(tmp_path)["global_step"] == STEPS
