"""A generator is the same when it is loaded again, and a folder cannot say what is run."""

import json

import pytest
import torch

from aigc.config import trust
from aigc.errors import InputError
from aigc.models.images.saved import load_generator, save_generator
from aigc.runs import Run
from tests.unit.models.tiny_generators import generator

NAMES = ["A", "乙", "c d"]


@pytest.fixture(autouse=True)
def trusted(monkeypatch):
    monkeypatch.setattr(trust, "_named", ["tests"])


@pytest.fixture
def saved(tmp_path):
    made, node = generator(classes=3)
    save_generator(made, node, NAMES, tmp_path)
    return tmp_path


def changed(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(("kind", "classes"), [("TinyGenerator", 0), ("TinyGenerator", 3), ("TinyStyles", 3)])
def test_it_makes_the_same_images_to_the_last_bit(kind, classes, tmp_path):
    made, node = generator(kind, classes, channels=1)
    save_generator(made, node, NAMES[:classes], tmp_path)
    state = torch.get_rng_state()
    loaded, names = load_generator(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    assert names == NAMES[:classes]
    assert not any(module.training for module in loaded.modules())
    inputs = (made.latents(4), torch.tensor([0, 1, 2, 0]) if classes else None)
    with torch.no_grad():
        torch.manual_seed(1)
        expected = made(*inputs)
        torch.manual_seed(1)
        assert torch.equal(loaded(*inputs), expected)
        assert not torch.equal(generator(kind, classes, channels=1)[0](inputs[0] + 0.1, inputs[1]), expected)


def test_strides_and_names_that_share_a_tensor_are_written_all_the_same(tmp_path):
    made, node = generator()
    made.to(memory_format=torch.channels_last)
    made.again = made.linear.bias
    save_generator(made, node, [], tmp_path)
    del made.again
    with pytest.raises(InputError, match=r'model\.safetensors: these are not weights .*"again"'):
        load_generator(tmp_path)


def test_labels_without_names_are_called_by_their_numbers_and_names_without_labels_are_left_out(tmp_path):
    made, node = generator(classes=3)
    save_generator(made, node, [], tmp_path)
    assert load_generator(str(tmp_path))[1] == ["0", "1", "2"]
    made, node = generator()
    save_generator(made, node, NAMES, tmp_path)
    assert load_generator(tmp_path)[1] == []


def test_what_a_folder_names_is_built_only_when_the_person_trusts_it(saved, monkeypatch):
    assert load_generator(saved)
    monkeypatch.setattr(trust, "_named", [])
    with pytest.raises(InputError, match=r"config\.json: .*'tests' is not trusted; if it is yours, add --trust tests"):
        load_generator(saved)
    changed(saved, trusted=["tests"], trust="tests")
    with pytest.raises(InputError, match="not trusted"):
        load_generator(saved)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("os.system", "not trusted"),
        ("torch.hub.load", "is not a class"),
        ("torch.nn.Linear", "is not a subclass of aigc.models.images.base.ImageGenerator"),
        ("aigc.models.images.base.ImageGenerator", "abstract"),
        ("tests.unit.models.tiny_generators.Nothing", "cannot import"),
    ],
)
def test_only_a_generator_is_built(target, said, saved):
    changed(saved, generator={"_target_": target, "resolution": 6, "channels": 3})
    with pytest.raises(InputError, match=rf"config\.json: .*{said}"):
        load_generator(saved)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"format": 2}, "format 2 is not known"),
        ({"generator": []}, "generator must be a mapping"),
        ({"generator": {"_target_": 3}}, "generator must be a mapping"),
        ({"classes": "ABC"}, "classes must be a list"),
        ({"classes": ["A"]}, "names 1 class, and its generator has 3"),
        ({"generator": {"_target_": "tests.unit.models.tiny_generators.TinyGenerator", "resolution": 7}}, "channels"),
    ],
)
def test_a_wrong_config_is_named_with_what_is_wrong(values, said, saved):
    changed(saved, **values)
    with pytest.raises(InputError, match=rf"config\.json: .*{said}"):
        load_generator(saved)


@pytest.mark.parametrize("value", [7, 10**15, "six", None])
def test_a_size_that_no_generator_takes_is_refused(value, saved):
    node = json.loads((saved / "config.json").read_text())["generator"]
    changed(saved, generator=node | {"resolution": value})
    with pytest.raises(InputError, match=r"config\.json: this generator cannot be built"):
        load_generator(saved)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is damaged"),
        ("[1]", "is damaged"),
        ("\ud800", "is damaged"),
        ('{"model_type": "gpt2"}', "not describe a generator"),
    ],
)
def test_a_damaged_or_foreign_config_is_named(content, said, saved):
    (saved / "config.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=rf"config\.json.* {said}"):
        load_generator(saved)


def test_damaged_missing_and_other_weights_are_named(saved):
    path = saved / "model.safetensors"
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"model\.safetensors: no such file, or it is damaged"):
            load_generator(saved)
    path.unlink()
    with pytest.raises(InputError, match=r"model\.safetensors: no such file"):
        load_generator(saved)
    other, node = generator(classes=3, width=5)
    save_generator(other, node, NAMES, saved)
    changed(saved, generator=node | {"width": 4})
    with pytest.raises(InputError, match=r"these are not weights of the generator in config\.json.*size mismatch"):
        load_generator(saved)


def test_a_run_gives_its_generator(saved, tmp_path):
    run = Run(tmp_path / "run")
    run.path.mkdir()
    saved_files = [saved / name for name in ("config.json", "model.safetensors")]
    run.model.mkdir()
    for file in saved_files:
        file.rename(run.model / file.name)
    loaded, names = run.load_model()
    assert (loaded.classes, names) == (3, NAMES)
    (run.model / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json is damaged: .*`aigc verify run`"):
        run.load_model()
    (run.model / "config.json").write_text('{"task": "mine.Gan"}')
    with pytest.raises(InputError, match=r"weights of mine\.Gan, which saves no generator alone"):
        run.load_model()
