"""Training as a process: repeated, interrupted, with the user's own data."""

import json
import os
import random
import signal
import subprocess
import sys

import pytest

from aigc.runs import Run
from tests.conftest import WORDS
from tests.launch.forking import server
from tests.small_models import shrink_models
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow


def only_run(place):
    (path,) = (place / "outputs/runs").iterdir()
    return Run.open(path)


def test_two_runs_give_the_same_numbers_to_the_last_digit(aigc, own_place):
    shrink_models(own_place)
    short = ["debug=fast", "trainer.max_steps=4", "seed=5"]
    for _ in range(2):
        done = aigc("train", *short)
        assert done.returncode == 0, done.stderr
    first, second = (Run.open(path) for path in (own_place / "outputs/runs").iterdir())
    drop = ["wall_time", "train/tokens_per_second"]
    assert first.metrics().drop(columns=drop).equals(second.metrics().drop(columns=drop))
    weights = "model/model.safetensors"
    assert first.manifest["artifacts"][weights] == second.manifest["artifacts"][weights]


def test_another_seed_gives_other_numbers(aigc, own_place):
    shrink_models(own_place)
    for seed in (1, 2):
        assert aigc("train", "debug=fast", f"seed={seed}").returncode == 0
    first, second = (Run.open(path) for path in (own_place / "outputs/runs").iterdir())
    weights = "model/model.safetensors"
    assert first.manifest["artifacts"][weights] != second.manifest["artifacts"][weights]


def test_couplets_learn_the_lower_line_alone(aigc, own_place):
    shrink_models(own_place)
    done = aigc("train", "experiment=lm/couplets", "debug=fast")
    assert done.returncode == 0, done.stderr
    rows = (only_run(own_place).samples / "step-000002.jsonl").read_text("utf-8").splitlines()
    assert json.loads(rows[0])["prompt"].endswith("，")


def test_own_english_file_trains_with_a_bpe_tokenizer(aigc, own_place):
    shrink_models(own_place)
    random.seed(0)
    texts = [" ".join(random.choices(WORDS, k=random.randint(5, 30))) + "." for _ in range(300)]
    lines = [json.dumps({"text": text, "id": number}) for number, text in enumerate(texts)]
    (own_place / "mine.jsonl").write_text("\n".join(lines), encoding="utf-8")
    command = ["experiment=lm/tang_quatrains", "data.path=mine.jsonl", "data.text_column=text"]
    done = aigc("train", *command, "trainer.max_steps=8", "trainer.validate_every_n_steps=8")
    assert done.returncode == 0, done.stderr
    run = only_run(own_place)
    _, tokenizer = run.load_model()
    text = "The cat — 貓 — sees\n<|end|> it."
    assert tokenizer.decode(tokenizer(text, split_special_tokens=True)["input_ids"]) == text
    assert "tok:13a" in run.manifest["signatures"]["val/bleu"]


def test_wandb_runs_offline_inside_the_run_folder(aigc, own_place):
    shrink_models(own_place)
    done = aigc("train", "debug=fast", "logger=wandb")
    assert done.returncode == 0, done.stderr
    run = only_run(own_place)
    assert list((run.path / "wandb").glob(f"offline-run-*-{run.id}/*.wandb"))


def test_a_profile_is_written(aigc, own_place):
    shrink_models(own_place)
    done = aigc("train", "debug=profile", "trainer.max_steps=2")
    assert done.returncode == 0, done.stderr
    paths = list(only_run(own_place).path.glob("*-profile.txt"))
    assert {path.name for path in paths} == {"fit-profile.txt", "validate-profile.txt"}
    shown = " ".join(done.stdout.split())
    assert all(f"profile {path}" in shown for path in paths)


def test_overfit_learns_its_batch(aigc, own_place):
    shrink_models(own_place)
    fast = ["trainer.max_steps=60", "optimizer.lr=0.01", "scheduler.warmup_steps=5"]
    assert aigc("train", "debug=overfit", *fast).returncode == 0
    losses = only_run(own_place).metrics()["train/loss"].dropna()
    assert losses.iloc[-1] < 0.7 * losses.iloc[0]


def start(place, *arguments):
    """Start a new Python process, as a user does."""
    command = [sys.executable, "-m", "aigc", "train", "callbacks.progress.every_seconds=0", *arguments]
    return subprocess.Popen(
        command, cwd=place, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )


def wait_for(process, word):
    for line in process.stderr:
        if word in line:
            return
    raise AssertionError(f"never printed {word!r}")


@pytest.mark.parametrize(
    ("number", "code", "status"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 75, "preempted")]
)
def test_a_signal_saves_a_checkpoint_and_reports_it(own_place, number, code, status):
    shrink_models(own_place)
    arguments = ["train", "trainer.max_steps=100000", "callbacks.progress.every_seconds=0"]
    child = server().start(arguments, own_place)
    wait_until(lambda: "step 3 of" in child.output or child.ended)
    child.send(number)
    assert child.wait() == code, child.output
    run = only_run(own_place)
    assert run.status == status
    (attempt,) = run.manifest["attempts"]
    assert (attempt["exit_code"], attempt["status"]) == (code, status)
    assert attempt["to_step"] >= 3
    import torch

    assert torch.load(run.checkpoints / "last.ckpt", weights_only=True)["global_step"] == attempt["to_step"]


def test_ctrl_c_before_training_leaves_nothing_behind(own_place, monkeypatch):
    monkeypatch.setenv("AIGC_CACHE", str(own_place / "cache"))  # an empty one: the data have to be prepared
    process = start(own_place)
    wait_for(process, "reading")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert not (own_place / "outputs").exists()
