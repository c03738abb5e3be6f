import pytest
import torch

from aigc.callbacks import Checkpoints
from aigc.callbacks.checkpoint_io import AtomicCheckpointIO
from aigc.errors import AigcError
from tests.training.helpers import sgd_task, text_data, tiny_model, trainer

TEXTS = ["春眠不覺曉", "處處聞啼鳥", "夜來風雨聲", "花落知多少", "白日依山盡", "黃河入海流", "山", "河"]


def fitted(folder, callback, **settings):
    data = text_data(folder, TEXTS)
    task = sgd_task(tiny_model(data), **({"lr": settings.pop("lr")} if "lr" in settings else {}))
    chosen = {"max_steps": 4, "val_check_interval": 1, "check_val_every_n_epoch": None, "callbacks": [callback]}
    made = trainer(folder, **(chosen | settings))
    return data, task, made


def test_last_and_best_are_readable_with_weights_only(tmp_path):
    callback = Checkpoints()
    data, task, made = fitted(tmp_path, callback)
    made.fit(task, datamodule=data)
    last = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 4
    assert torch.load(tmp_path / "checkpoints/best.ckpt", weights_only=True)["global_step"] == callback.best["step"]
    assert list(last["callbacks"].values())[-1]["best"]["step"] == callback.best["step"]
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == [
        "best.ckpt",
        "best.ckpt.sha256",
        "last.ckpt",
        "last.ckpt.sha256",
    ]


def test_best_is_the_best_and_not_the_last(tmp_path):
    callback = Checkpoints()
    data, task, made = fitted(tmp_path, callback, lr=5.0)  # so large a step makes every later model worse
    made.fit(task, datamodule=data)
    assert callback.best["step"] < 4
    assert callback.best["value"] < task.latest["val/perplexity"]


def test_the_mode_turns_the_choice_around(tmp_path):
    callback = Checkpoints(mode="max")
    data, task, made = fitted(tmp_path, callback, lr=5.0)
    made.fit(task, datamodule=data)
    assert callback.best["value"] >= task.latest["val/perplexity"]


def test_a_failure_keeps_what_was_learned(tmp_path):
    from pytorch_lightning import Callback

    class Fail(Callback):
        def on_train_batch_start(self, trainer, module, *args):
            if module.steps_done == 3:
                raise RuntimeError("no")

    data, task, made = fitted(tmp_path, Checkpoints(), limit_val_batches=0)
    made.callbacks.append(Fail())
    with pytest.raises(RuntimeError, match="no"):
        made.fit(task, datamodule=data)
    assert torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 3


@pytest.mark.parametrize("place", [0, 100, -1])
def test_a_changed_byte_is_noticed(tmp_path, place):
    path = tmp_path / "x.ckpt"
    AtomicCheckpointIO().save_checkpoint({"state": torch.arange(100)}, path)
    assert AtomicCheckpointIO().load_checkpoint(path)["state"][7] == 7
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(AigcError, match="damaged"):
        AtomicCheckpointIO().load_checkpoint(path)


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path):
    path = tmp_path / "x.ckpt"
    AtomicCheckpointIO().save_checkpoint({"a": 1}, path)
    with pytest.raises(AttributeError, match="pickle"):
        AtomicCheckpointIO().save_checkpoint({"a": lambda: 0}, path)
    assert AtomicCheckpointIO().load_checkpoint(path) == {"a": 1}
    assert not list(tmp_path.glob(".*"))
