"""A real training tells the heartbeat what it does, and writes nothing itself."""

from pathlib import Path

from pytorch_lightning import Callback

from aigc.callbacks import KeepStatus
from aigc.runs import heartbeat
from aigc.runs.heartbeat import Heartbeat
from tests.training.helpers import sgd_task, text_data, tiny_model, trainer

TEXTS = ["春眠不覺曉", "處處聞啼鳥", "夜來風雨聲", "花落知多少", "白日依山盡", "黃河入海流"] * 4


class Looks(Callback):
    """Saves at every possible moment, and notes what the heartbeat would write."""

    def __init__(self, beat):
        self.beat, self.seen = beat, []

    def note(self, *arguments):
        self.seen.append((self.beat.step, self.beat.activity))

    def save(self, trainer, *arguments):
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "any.ckpt")
        assert self.beat.activity == "saving"

    on_train_batch_start = on_validation_start = save
    on_before_optimizer_step = on_train_batch_end = on_validation_batch_end = on_validation_epoch_end = note


def test_step_and_activity_are_those_of_the_training(tmp_path, monkeypatch):
    written = []
    real = heartbeat.write_status
    monkeypatch.setattr(heartbeat, "write_status", lambda *a, **n: written.append(n) or real(*a, **n))
    data = text_data(tmp_path, TEXTS, sequence_length=16)
    with Heartbeat(tmp_path, every_seconds=3600) as beat:
        looks = Looks(beat)
        run = trainer(
            tmp_path,
            max_steps=4,
            val_check_interval=2,
            check_val_every_n_epoch=None,
            enable_checkpointing=False,
            callbacks=[KeepStatus(beat), looks],
        )
        run.fit(sgd_task(tiny_model(data)), datamodule=data)
        assert beat.step == 4
    assert len(written) == 1  # the first status; no step wrote to the disk
    training = [(step, what) for before in range(4) for step, what in ((before, "training"), (before + 1, "training"))]
    assert [one for one in looks.seen if one[1] != "validating"] == training
    assert {step for step, what in looks.seen if what == "validating"} == {2, 4}
