"""A kind of model is one class: a task names it, model/ records it, and every verb uses only this class."""

import json
import shutil
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from aigc.config import trust
from aigc.errors import InputError
from aigc.inference.find import kinds, model_of_task, saved_model
from aigc.inference.image_generator import SavedImageGenerator
from aigc.launch import components
from aigc.launch.results import save_model_folder
from aigc.runs import Run
from aigc.tasks import Task
from tests.cli import bigrams
from tests.cli.image_runs import Verb, bare_run, image_run

MINE = "my_bigrams.SavedBigrams"


@pytest.fixture
def place(tmp_path):
    """A finished run of a custom kind of model, whose package is beside it."""
    shutil.copy(bigrams.__file__, tmp_path / "my_bigrams.py")
    run = bare_run(tmp_path, "abab")
    run.model.mkdir()
    (run.model / "table.json").write_text(json.dumps({"a": "b", "b": "a"}))
    name_class(run, MINE)
    return tmp_path


@pytest.fixture
def call(place, monkeypatch, capsys):
    """A verb in this process."""
    return lambda verb, *arguments: Verb(verb, place, monkeypatch, capsys)(*arguments, "--trust", "my_bigrams")


def name_class(run, name):
    (run.model / "aigc.json").write_text(json.dumps({"saved_model": name}))


def test_every_kind_of_the_package_is_found_by_its_file():
    assert [kind.makes for kind in kinds()] == ["texts", "images", "predictions"]


def test_a_custom_kind_of_model_is_generated_and_exported(call, place):
    assert call("generate", "abab", "letters=4", "lines=2") == (0, "abab\nabab\n", "")
    code, shown, _ = call("generate", "abab", "letters=2", "--json")
    assert (code, json.loads(shown)) == (0, {"number": 0, "line": "ab"})
    code, shown, error = call("export", "abab", "--format", "table", "--out", "mine")
    assert (code, shown.splitlines()[0]) == (0, "mine/table.json"), error
    assert Run.open(place / "outputs/runs/abab").load_model() == ({"a": "b", "b": "a"}, None)


@pytest.mark.parametrize(
    ("verb", "arguments", "key"),
    [
        ("generate", ["temperature=1"], "temperature"),
        ("generate", ["letters=x"], "letters"),
        ("generate", ["--prompts", "x"], "--prompts"),
        ("generate", ["--out", "x"], "--out"),
        ("export", ["--format", "onnx", "--out", "mine"], "--format onnx"),
        ("score-images", [], "makes no images"),
    ],
)
def test_options_that_a_kind_does_not_take_are_refused(verb, arguments, key, call, place):
    (place / "outputs/runs/abab/config.yaml").write_text("task: {_target_: tests.cli.test_saved_models.Bigrams}\n")
    code, shown, error = call(verb, "abab", *arguments, "--trust", "tests")
    assert (code, shown) == (2, "")
    assert key in error
    assert not (place / "mine").exists()


def test_help_shows_the_keys_of_the_run_on_its_line(call, capsys, place):
    place.joinpath("pyproject.toml").write_text('[tool.aigc]\ntrusted = ["my_bigrams"]\n')
    image_run(place, "images", "TinyGenerator")
    shown = {}
    for run in ("abab", "images", "nothing"):
        with pytest.raises(SystemExit):
            call("generate", run, "--help")
        shown[run] = {line.split()[2] for line in capsys.readouterr().out.splitlines() if line.startswith("keys of ")}
    assert shown == {"abab": {"lines"}, "images": {"images"}, "nothing": {"texts", "images"}}


def test_help_of_a_kind_comes_from_its_class(call, capsys, place, monkeypatch):
    place.joinpath("pyproject.toml").write_text('[tool.aigc]\ntrusted = ["my_bigrams"]\n')
    monkeypatch.setattr(SavedImageGenerator, "options", {"out": "a canvas"})
    with pytest.raises(SystemExit):
        call("generate", "nothing", "--help")
    shown = " ".join(capsys.readouterr().out.split())
    assert "images: a canvas" in shown
    for kind in kinds():
        assert kind.usage in shown
    with pytest.raises(SystemExit):
        call("generate", "abab", "--help")
    assert SavedImageGenerator.usage not in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"saved_model": "evil.Model"}', "package 'evil' is not trusted"),
        ('{"saved_model": "my_bigrams.Nothing"}', "cannot import my_bigrams.Nothing"),
        ('{"saved_model": "my_bigrams.NoModel"}', "SavedModel, which is expected here"),
        ('{"saved_model": 3}', "must be the name of a class"),
        ("{", "is damaged"),
        ("[]", "is damaged"),
    ],
)
def test_a_class_that_a_run_folder_names_must_be_trusted_and_a_model(content, message, call, place):
    path = place / "outputs/runs/abab/model/aigc.json"
    path.write_text(content)
    for verb in ("generate", "export"):
        code, shown, error = call(verb, "abab")
        assert (code, shown) == (2, "")
        assert message in error
        assert "aigc.json" in error


def test_a_package_is_trusted_from_python_by_an_argument(place, monkeypatch):
    monkeypatch.setattr(trust, "_named", [])
    monkeypatch.syspath_prepend(str(place))
    run = Run.open(place / "outputs/runs/abab")
    with pytest.raises(InputError, match=r'trust=\["my_bigrams"\]') as refused:
        run.load_model()
    assert "--trust" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert "--trust my_bigrams" in trust.how_to_trust(MINE), "on the command line, as before"
    assert run.load_model(trust=["my_bigrams"]) == ({"a": "b", "b": "a"}, None)


class Bigrams(Task):
    """A task of a custom kind."""

    saved_model = "tests.cli.bigrams.SavedBigrams"

    def save_model(self, folder):
        (folder / "table.json").write_text("{}")


def test_model_remembers_the_class_that_its_task_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.aigc]\ntrusted = ["tests"]\n')
    run = bare_run(tmp_path, "abab", "task: {_target_: tests.cli.test_saved_models.Bigrams}\n")
    assert isinstance(model_of_task(run), bigrams.SavedBigrams), "before there is a model"
    save_model_folder(run, Bigrams(), None)
    assert isinstance(saved_model(run), bigrams.SavedBigrams)
    assert run.load_model() == ({}, None)
    save_model_folder(run, Bigrams(), SimpleNamespace(model_notes={"chat": True}))
    assert json.loads((run.model / "aigc.json").read_text()) == {"saved_model": Bigrams.saved_model, "chat": True}


def test_a_model_whose_task_names_no_class_is_not_mistaken_for_another_kind(tmp_path):
    run = bare_run(tmp_path, "abab")
    task = Bigrams()
    task.saved_model = None
    save_model_folder(run, task, None)
    (run.model / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(InputError, match="saved_model"):
        run.load_model()


def test_a_task_that_names_a_missing_class_is_refused_before_the_first_step():
    settings = {"trainer": {"gradient_clip_val": None, "accumulate_grad_batches": 1, "precision": "32-true"}}
    config = OmegaConf.create(settings)
    task = Bigrams()
    task.saved_model = "aigc.inference.causal_lm.SavedCausalLm"
    with pytest.raises(Exception, match=r"Bigrams\.saved_model.*SavedCausalLm"):
        components._check_fit(config, task)


def test_a_run_of_an_earlier_version_is_recognised_by_its_files(tmp_path):
    run = image_run(tmp_path, "old", "TinyGenerator")
    assert isinstance(saved_model(run), SavedImageGenerator)
    assert not (run.model / "aigc.json").exists()
