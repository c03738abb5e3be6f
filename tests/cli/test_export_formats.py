"""`aigc export --format`: programs that generate the same images as the generator, or nothing is written."""

import json

import pytest
import torch

from aigc.inference.parts import generator_programs
from aigc.runs import Run
from tests.cli.image_runs import Verb, image_run
from tests.unit.models.tiny_generators import TinyGenerator

NAMES = ["A", "B", "C"]


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """`aigc export` in this process, of one of two finished runs whose generators have three classes."""
    verb = Verb("export", tmp_path, monkeypatch, capsys)
    for kind in ("TinyGenerator", "TinyStyles"):
        image_run(tmp_path, kind, kind, NAMES)
    return lambda *arguments: verb(*arguments, "--trust", "tests")


def files(folder):
    return sorted(path.name for path in folder.rglob("*"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning")
@pytest.mark.parametrize("kind", ["TinyGenerator", "TinyStyles"])
@pytest.mark.parametrize(("form", "name"), [("torchscript", "generator.pt"), ("pt2", "generator.pt2")])
def test_programs_make_the_same_images_of_any_number_of_latents(form, name, kind, call, tmp_path):
    code, told, error = call(kind, "--format", form, "--out", "mine", "--json")
    assert code == 0, error
    row = json.loads(told)
    assert row["files"] == ["mine/config.json", f"mine/{name}"]
    assert 0 <= row["largest_difference"] <= 1e-5
    loaded = torch.jit.load(f"mine/{name}") if form == "torchscript" else torch.export.load(f"mine/{name}").module()
    latents, labels = torch.randn(5, 5), torch.tensor([0, 2, 1, 1, 0])
    with torch.no_grad():
        torch.manual_seed(3)
        expected = Run(tmp_path / "outputs/runs" / kind).load_model()[0](latents, labels)
        torch.manual_seed(3)
        torch.testing.assert_close(loaded(latents, labels), expected, atol=1e-5, rtol=0)
        assert not torch.allclose(loaded(latents, labels.flip(0)), expected, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["TinyGenerator", "TinyStyles"])
def test_onnx_makes_the_same_images_without_noise(kind, call, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    code, told, error = call(kind, "--format", "onnx", "--out", "mine")
    assert code == 0, error
    assert ("without the generator's own noise" in told) == (kind == "TinyStyles")
    assert files(tmp_path / "mine") == ["config.json", "generator.onnx"]


def test_a_format_whose_package_is_missing_names_what_to_install(call, tmp_path, monkeypatch):
    monkeypatch.setattr(generator_programs.importlib.util, "find_spec", lambda name: None)
    code, _, error = call("TinyGenerator", "--format", "onnx")
    assert code == 2
    assert "--format onnx needs onnx and onnxscript: pip install onnx onnxscript" in error
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_a_program_for_one_batch_size_only_is_not_published(call, tmp_path, monkeypatch):
    forward = TinyGenerator.forward

    def fixed(self, latents, labels=None):
        return forward(self, latents, labels) + torch.zeros(len(latents), 3, 6, 6)

    monkeypatch.setattr(TinyGenerator, "forward", fixed)
    for form, what in (("torchscript", "TorchScript"), ("pt2", "torch.export")):
        code, _, error = call("TinyGenerator", "--format", form)
        assert code == 1
        assert f"{what} cannot express this generator: " in error
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]


def test_what_a_format_cannot_express_is_reported_in_one_line(call, monkeypatch):
    def refuse(*arguments, **settings):
        raise RuntimeError("\n\nSomething is dynamic\nand much more")

    monkeypatch.setattr(torch.jit, "trace", refuse)
    code, _, error = call("TinyGenerator", "--format", "torchscript")
    assert code == 1
    message = "TorchScript cannot express this generator: Something is dynamic; take --format safetensors."
    assert message in error.splitlines()[-1]
