"""`aigc export`: the written files equal the run's model, or nothing is written."""

import os

import pytest
import torch

from aigc.inference.parts import checkpoint
from aigc.models.images import saved
from aigc.models.images.saved import load_generator, save_generator
from aigc.runs.status import Status, write_status
from tests.cli.image_runs import Verb, bare_run, image_run
from tests.training.tiny_gan import TinyGan, tiny_gan
from tests.unit.models.tiny_generators import generator

NAMES = ["A", "乙", "c"]


@pytest.fixture
def run(tmp_path):
    """A finished run whose generator has three classes."""
    return image_run(tmp_path, "tiny", "TinyGenerator", NAMES)


@pytest.fixture
def call(run, tmp_path, monkeypatch, capsys):
    """`aigc export` in this process."""
    verb = Verb("export", tmp_path, monkeypatch, capsys)
    return lambda *arguments: verb(*arguments, "--trust", "tests")


def files(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_weights_and_config_equal_the_run_s_bit_for_bit(call, run, tmp_path):
    code, told, error = call("tiny")
    assert code == 0, error
    folder = tmp_path / "tiny-safetensors"
    assert told.splitlines() == [
        "tiny-safetensors/config.json",
        "tiny-safetensors/model.safetensors",
        "images of 8 fixed latents, model.safetensors written and loaded again: largest difference 0",
    ]
    assert (folder / "config.json").read_bytes() == (run.model / "config.json").read_bytes()
    loaded, names = load_generator(folder)
    assert names == NAMES
    mine, theirs = loaded.state_dict(), run.load_model()[0].state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_files_can_be_read_by_those_whom_the_umask_lets(call, tmp_path):
    before = os.umask(0o027)
    try:
        assert call("tiny")[0] == 0
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "tiny-safetensors").iterdir()}
    assert modes == {"config.json": 0o640, "model.safetensors": 0o640}


def test_a_file_that_differs_after_reload_is_not_published(call, tmp_path, monkeypatch):
    plain = saved.save_generator

    def careless(made, *others):
        made = generator(classes=3)[0]
        made.linear.bias.data[0] += 1e-7
        plain(made, *others)

    monkeypatch.setattr(saved, "save_generator", careless)
    code, told, error = call("tiny", "--out", "mine")
    assert (code, told) == (1, "")
    assert "at most 0 is right; not written" in error
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]


def test_nothing_is_overwritten_unless_asked(call, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/config.json").write_text("mine")
    (tmp_path / "mine/other").write_text("mine")
    code, _, error = call("tiny", "--out", "mine")
    assert code == 2
    assert "mine/config.json " in error
    assert "--force" in error
    assert files(tmp_path / "mine") == ["config.json", "other"]
    assert call("tiny", "--out", "mine", "--force")[0] == 0
    assert files(tmp_path / "mine") == ["config.json", "model.safetensors", "other"]
    assert load_generator(tmp_path / "mine")
    code, _, error = call("tiny", "--out", "mine/other", "--force")
    assert code == 2
    assert error.startswith("aigc export: --out mine/other: ")


def test_an_unfinished_run_is_refused(call, run):
    write_status(run.path, Status.PREEMPTED)
    code, told, error = call("tiny")
    assert (code, told) == (2, "")
    assert error.startswith("aigc export: tiny ")
    assert "`aigc resume tiny`" in error
    run.checkpoints.mkdir()
    (run.checkpoints / "step-000200.ckpt").write_bytes(b"")
    assert "--checkpoint last exports what it has now." in call("tiny")[2]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("last", "has no checkpoint 'last': it has step-200, step-1000"),
        ("step-7", "has no checkpoint 'step-7': it has step-200, step-1000"),
        ("../x", "has no checkpoint '../x'"),
    ],
)
def test_a_missing_checkpoint_is_reported_with_the_existing_ones(name, message, run):
    run.checkpoints.mkdir()
    for step in (200, 1000):
        (run.checkpoints / f"step-{step:06d}.ckpt").write_bytes(b"")
    with pytest.raises(Exception, match=message):
        checkpoint.checkpoint_file(run, name)
    assert checkpoint.checkpoint_file(run, "step-200").name == "step-000200.ckpt"


def test_a_damaged_checkpoint_is_not_loaded(run):
    run.checkpoints.mkdir()
    (run.checkpoints / "step-000200.ckpt").write_bytes(b"x")
    (run.checkpoints / "step-000200.ckpt.sha256").write_text("0" * 64)
    with pytest.raises(Exception, match=r"step-000200\.ckpt is damaged: .* Put a good one back, or name another"):
        checkpoint.load_task(run, "step-200")


class Saving(TinyGan):
    """Generates images with the generator that it saves, or with another one."""

    def __init__(self, other=None):
        torch.nn.Module.__init__(self)
        self.made, self.node = generator(classes=3)
        self.other = other
        self.train()

    def generate(self, latents, conditions):
        return (self.other or self.made)(latents, conditions.get("labels"))

    def save_model(self, folder):
        save_generator(self.made, self.node, NAMES, folder)


@pytest.fixture
def at_checkpoint(tmp_path, call, monkeypatch):
    """`aigc export` of a run with a checkpoint of this task."""

    def at_checkpoint(task):
        bare_run(tmp_path, "gan", "task: {_target_: tests.training.tiny_gan.TinyGan}")
        monkeypatch.setattr(checkpoint, "load_task", lambda run, name: checkpoint.Loaded(task, None, 7))
        return call("gan", "--checkpoint", "last", "--out", "mine")

    return at_checkpoint


def test_a_checkpoint_s_generator_is_compared_with_what_its_task_makes(at_checkpoint, tmp_path):
    code, told, error = at_checkpoint(Saving().to(memory_format=torch.channels_last))
    assert code == 0, error
    assert told.endswith("largest difference 0\n")
    assert load_generator(tmp_path / "mine")[1] == NAMES


@pytest.mark.parametrize("other", [{"resolution": 8}, {"width": 3}])
def test_a_task_that_saves_another_generator_than_it_uses_is_detected(other, at_checkpoint, tmp_path):
    code, told, error = at_checkpoint(Saving(generator(classes=3, **other)[0]))
    assert (code, told) == (1, "")
    assert "at most 0 is right; not written" in error
    assert not (tmp_path / "mine").exists()


def test_a_task_that_saves_no_generator_alone_is_refused(at_checkpoint):
    code, _, error = at_checkpoint(tiny_gan())
    assert code == 2
    assert "gan: TinyGan " in error


@pytest.mark.slow
def test_a_language_model_is_exported_in_the_layout_of_transformers(call, run, tmp_path):
    from tokenizers import Tokenizer, models
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    for file in run.model.iterdir():
        file.unlink()
    original = GPT2LMHeadModel(GPT2Config(vocab_size=8, n_positions=8, n_embd=8, n_layer=1, n_head=1)).eval()
    original.save_pretrained(run.model)
    plain = Tokenizer(models.WordLevel({"<unk>": 0, "诗": 1}, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="<unk>").save_pretrained(run.model)
    code, told, error = call("tiny", "--out", "mine")
    assert code == 0, error
    assert "logits of 16 fixed tokens, model.safetensors written and loaded again: largest difference 0" in told
    assert AutoTokenizer.from_pretrained(tmp_path / "mine")("诗")["input_ids"] == [1]
    assert "safetensors" in call("tiny", "--format", "onnx")[2]


@pytest.mark.slow
def test_a_checkpoint_of_a_real_run_is_exported(trained, call, tmp_path, cache, monkeypatch):
    monkeypatch.setenv("AIGC_CACHE", str(cache))
    code, told, error = call(str(trained.path), "--checkpoint", "best", "--out", "best")
    assert code == 0, error
    assert "largest difference 0" in told
    assert (tmp_path / "best/model.safetensors").read_bytes() == (trained.model / "model.safetensors").read_bytes()


def test_a_file_in_the_way_is_found_before_the_model_is_loaded(call, tmp_path, run):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/config.json").write_text("mine")
    weights = run.model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:9])  # loading it would be the first error
    code, _, error = call("tiny", "--out", "mine")
    assert code == 2
    assert "--force" in error
