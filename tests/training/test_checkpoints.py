import errno
import hashlib
import json
import resource
import threading
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning import Callback

from aigc.callbacks import BetweenSteps, Checkpoints, ExactState
from aigc.callbacks.checkpoint_io import AtomicCheckpointIO
from aigc.config.problems import ConfigError
from aigc.distributed.sharding import ShardedData
from aigc.errors import AigcError
from aigc.evaluation import Evaluation
from aigc.runs.checkpoints import CheckpointFolder, damage
from aigc.runs.files import set_write_patience
from aigc.tasks import Task
from tests.training.helpers import sgd_task, text_data, tiny_model, trainer
from tests.training.tiny_gan import image_data, tiny_gan
from tests.waiting import PATIENCE


@pytest.fixture(autouse=True)
def impatient():
    set_write_patience(0)
    yield
    set_write_patience(60)


TEXTS = ["春眠不覺曉", "處處聞啼鳥", "夜來風雨聲", "花落知多少", "白日依山盡", "黃河入海流", "山", "河"]


def fitted(folder, callback, **settings):
    data = text_data(folder, TEXTS)
    task = sgd_task(tiny_model(data), **({"lr": settings.pop("lr")} if "lr" in settings else {}))
    callbacks = [callback, ExactState(), *settings.pop("more", [])]
    chosen = {"max_steps": 4, "val_check_interval": 1, "check_val_every_n_epoch": None, "callbacks": callbacks}
    made = trainer(folder, **(chosen | settings))
    return data, task, made


def names(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir() if path.suffix != ".sha256")


def test_last_and_best_are_readable_with_weights_only(tmp_path):
    callback = Checkpoints()
    data, task, made = fitted(tmp_path, callback)
    made.fit(task, datamodule=data)
    last = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 4
    assert torch.load(tmp_path / "checkpoints/best.ckpt", weights_only=True)["global_step"] == callback.best["step"]
    assert damage(tmp_path / "checkpoints/last.ckpt") is None
    assert (tmp_path / "checkpoints/last.ckpt").resolve().name == "step-000004.ckpt"


@pytest.mark.parametrize(("keep", "kept"), [(1, [4]), (2, [3, 4]), (9, [1, 2, 3, 4])])
def test_the_configured_number_is_kept(tmp_path, keep, kept):
    data, task, made = fitted(tmp_path, Checkpoints(keep_best=0, keep=keep))
    made.fit(task, datamodule=data)
    steps = [f"step-{step:06d}.ckpt" for step in kept]
    assert names(tmp_path) == ["checkpoints.json", "last.ckpt", *steps]


def test_the_best_are_kept_beside_the_newest(tmp_path):
    callback = Checkpoints(keep=1, keep_best=2)
    data, task, made = fitted(tmp_path, callback, lr=5.0)  # so large a step makes every later model worse
    made.fit(task, datamodule=data)
    best = [one["step"] for one in callback.ranking]
    assert best == [1, 2]
    assert names(tmp_path)[3:] == ["step-000001.ckpt", "step-000002.ckpt", "step-000004.ckpt"]


def test_only_own_files_are_deleted(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for name in ("step-000000.ckpt", "mine.ckpt", "step-000002.ckpt.bak"):
        (tmp_path / "checkpoints" / name).write_text("mine")
    data, task, made = fitted(tmp_path, Checkpoints(monitor=None, keep=1))
    made.fit(task, datamodule=data)
    assert {"step-000000.ckpt", "mine.ckpt", "step-000002.ckpt.bak"} <= set(names(tmp_path))


def test_the_old_one_is_deleted_only_once_the_new_one_is_on_disk(tmp_path, monkeypatch):
    data, task, made = fitted(tmp_path, Checkpoints(monitor=None, keep=1))
    write = AtomicCheckpointIO._write

    def full(self, checkpoint, path, then):
        if path.name != "step-000003.ckpt":
            return write(self, checkpoint, path, then)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(AtomicCheckpointIO, "_write", full)
    with pytest.raises(OSError, match="No space"):
        made.fit(task, datamodule=data)
    assert CheckpointFolder(tmp_path / "checkpoints").newest_whole().name == "step-000002.ckpt"


@pytest.mark.parametrize("every", [{"every_n_steps": 2}, {"every_n_minutes": 0.0}])
def test_saves_by_steps_or_by_time(tmp_path, every):
    data, task, made = fitted(tmp_path, Checkpoints(keep=9, **every), more=[BetweenSteps()], limit_val_batches=0)
    made.fit(task, datamodule=data)
    expected = (2, 4) if "every_n_steps" in every else (1, 2, 3, 4)
    assert names(tmp_path) == ["checkpoints.json", "last.ckpt", *(f"step-{step:06d}.ckpt" for step in expected)]


def test_asynchronous_saves_hold_the_state_of_their_step(tmp_path):
    for name, asynchronous in (("plain", False), ("thread", True)):
        folder = tmp_path / name
        folder.mkdir()
        data, task, made = fitted(folder, Checkpoints(keep=9, asynchronous=asynchronous, every_n_steps=1))
        made.fit(task, datamodule=data)
    for step in (1, 2, 3, 4):
        one, other = (
            torch.load(tmp_path / name / f"checkpoints/step-{step:06d}.ckpt", weights_only=True)["state_dict"]
            for name in ("plain", "thread")
        )
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_an_asynchronous_save_does_not_hold_up_training_and_its_failure_is_not_lost(tmp_path):
    writer, may_write = AtomicCheckpointIO(asynchronous=True), threading.Event()
    tensor = torch.zeros(3)
    writer.save_checkpoint({"a": tensor}, tmp_path / "x.ckpt", {"then": lambda: may_write.wait(PATIENCE)})
    tensor += 1  # training goes on, and changes what was saved
    may_write.set()
    writer.wait()
    assert torch.equal(writer.load_checkpoint(tmp_path / "x.ckpt")["a"], torch.zeros(3))
    (tmp_path / "file").touch()
    writer.save_checkpoint({"a": 1}, tmp_path / "file" / "y.ckpt")
    with pytest.raises(AigcError, match=r"cannot save .*y.ckpt"):
        writer.wait()


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


def test_a_failure_loses_nothing_before_the_last_save_and_saves_nothing_half_done(tmp_path):
    from pytorch_lightning import Callback

    class Fail(Callback):
        def on_before_optimizer_step(self, trainer, module, optimizer):
            if module.steps_done == 3:
                raise RuntimeError("no")

    data, task, made = fitted(tmp_path, Checkpoints(every_n_steps=2), limit_val_batches=0, more=[Fail()])
    with pytest.raises(RuntimeError, match="no"):
        made.fit(task, datamodule=data)
    assert names(tmp_path) == ["checkpoints.json", "last.ckpt", "step-000002.ckpt"]


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


def test_the_checksum_is_that_of_the_file(tmp_path):
    path = tmp_path / "x.ckpt"
    AtomicCheckpointIO().save_checkpoint({"a": torch.arange(10**5)}, path)
    assert (tmp_path / "x.ckpt.sha256").read_text().split() == [hashlib.sha256(path.read_bytes()).hexdigest(), "x.ckpt"]


def test_a_checkpoint_is_written_tensor_by_tensor(tmp_path):
    state = {f"t{i}": torch.ones(4_000_000) for i in range(16)}  # 256 MB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    AtomicCheckpointIO().save_checkpoint(state, tmp_path / "x.ckpt")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000  # KB


def test_a_damaged_list_deletes_nothing(tmp_path):
    folder = CheckpointFolder(tmp_path)
    for step in (1, 2, 3):
        AtomicCheckpointIO().save_checkpoint({"step": step}, folder.file(step))
        folder.added(step, keep=9)
    (tmp_path / "checkpoints.json").write_text("{")
    AtomicCheckpointIO().save_checkpoint({"step": 4}, folder.file(4))
    folder.added(4, keep=1)
    assert len(list(tmp_path.glob("step-*.ckpt"))) == 4
    assert list(json.loads((tmp_path / "checkpoints.json").read_text())["files"]) == ["4"]


def test_shards_cannot_be_written_in_a_thread():
    sharded = SimpleNamespace(strategy=ShardedData(2))
    with pytest.raises(ConfigError, match=r"callbacks\.checkpoints\.asynchronous"):
        Checkpoints(asynchronous=True).setup(sharded, None, "fit")
    sharded.strategy.checkpoint_io = AtomicCheckpointIO()
    Checkpoints().setup(sharded, Task(), "fit")


@pytest.mark.parametrize(
    ("monitor", "kind", "refused"),
    [
        ("val/perplexitty", Task, True),
        ("perplexity", Task, True),
        ("val/bits_per_byte", Task, False),
        ("train/mine", Task, False),
        ("val/perplexitty", "own scores", False),
        ("val/perplexitty", "own callback", False),
    ],
)
def test_a_monitor_that_nothing_records_is_refused_before_the_first_step(monitor, kind, refused, tmp_path):
    callback = Checkpoints(monitor=monitor)
    more = [type("Own", (Callback,), {"__module__": "mine"})()] if kind == "own callback" else []
    data, task, made = fitted(tmp_path, callback, more=more, max_steps=1)
    if kind == "own scores":
        task.__class__ = type(
            "Own", (type(task),), {"validation_scores": lambda self: ({"mine": 1.0}, {}), "__module__": "aigc.own"}
        )
    if not refused:
        made.fit(task, datamodule=data)
        assert task.steps_done == 1
        return
    with pytest.raises(ConfigError) as caught:
        made.fit(task, datamodule=data)
    (problem,) = caught.value.problems
    assert problem.key == "callbacks.checkpoints.monitor"
    assert "val/perplexity" in problem.what
    assert task.steps_done == 0


def test_a_run_that_measures_nothing_keeps_its_last_weights(tmp_path, caplog):
    trained = trainer(tmp_path, max_steps=1, callbacks=[callback := Checkpoints(monitor="val/fid")])
    task = tiny_gan()
    task.__class__ = type("Known", (type(task),), {"__module__": "aigc.known"})
    trained.fit(task, datamodule=image_data(tmp_path))
    assert task.steps_done == 1
    assert callback.best is None
    assert "val/fid" in caplog.text


class Between(Evaluation):
    """An evaluation between steps, of scores that are known only then."""

    at_validation = False

    def evaluate(self, trainer, module):
        self.record(module, {"mine": float(module.steps_done)}, {})


@pytest.mark.parametrize(("monitor", "warnings"), [(None, 0), ("val/perplexity", 0), ("val/typo", 1)])
def test_a_monitor_is_missed_only_after_what_could_measure_it(monitor, warnings, tmp_path, caplog):
    callback = Checkpoints(monitor=monitor)
    evaluation = Between(every_n_steps=1).bind("evaluation.between")
    data, task, made = fitted(tmp_path, callback, more=[evaluation], max_steps=6, val_check_interval=3)
    made.fit(task, datamodule=data)
    assert caplog.text.count("callbacks.checkpoints.monitor=") == warnings
    assert (callback.best is None) == (monitor == "val/typo")


def test_what_is_never_validated_cannot_choose_the_best(tmp_path, caplog):
    data, task, made = fitted(tmp_path, Checkpoints(monitor="val/perplexity"), max_steps=1)
    data.__class__ = type("Whole", (type(data),), {"val_dataloader": lambda self: []})
    made.fit(task, datamodule=data)
    assert task.steps_done == 1
    assert "val/perplexity" in caplog.text


def test_a_monitor_that_nothing_records_does_not_matter_where_no_best_is_kept(tmp_path):
    data, task, made = fitted(tmp_path, Checkpoints(monitor="val/nothing", keep_best=0), max_steps=1)
    made.fit(task, datamodule=data)
    assert task.steps_done == 1
