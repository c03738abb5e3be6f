"""Which data `aigc eval` measures on: a file whole, and nothing that the model was trained on."""

import json
import shutil
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from aigc.cli.parts.measured_data import settle_measured
from aigc.errors import InputError
from aigc.runs import Run
from tests.conftest import write
from tests.training.in_process import train

LINES = "".join(f'{{"text": "line {index}"}}\n' for index in range(9))
TEXT = {"_target_": "aigc.data.text.TextData", "path": "d.jsonl"}
STREAM = {"_target_": "aigc.data.text.StreamedText", "path": "d.jsonl"}
IMAGES = {"_target_": "aigc.data.images.ImageData", "path": "pics"}


def run_of(place: Path, node: dict[str, object]) -> Run:
    write(place / "d.jsonl", LINES)
    write(place / "e.jsonl", LINES.replace("line", "row"))
    return Run.create(place / "outputs/runs", "one", OmegaConf.to_yaml({"data": node}), [])


def settled(run: Run, **typed: object) -> DictConfig:
    """Return the data of a config with these keys typed."""
    cfg = OmegaConf.merge(run.config, {"data": typed})
    assert isinstance(cfg, DictConfig)
    settle_measured(run, cfg, [f"data.{name}={value}" for name, value in typed.items()])
    return cfg.data


def test_another_file_is_measured_whole(own_place):
    data = settled(run_of(own_place, TEXT), path="e.jsonl")
    assert (data.path, data.validation_path) == ("d.jsonl", "e.jsonl")


def test_it_is_also_where_the_run_validates_on_a_file_of_its_own(own_place):
    data = settled(run_of(own_place, TEXT | {"validation_path": "v.jsonl"}), path="e.jsonl")
    assert data.validation_path == "e.jsonl"


def test_a_share_that_was_asked_for_is_held_out(own_place):
    data = settled(run_of(own_place, TEXT), path="e.jsonl", validation_fraction=0.5)
    assert (data.path, data.get("validation_path")) == ("e.jsonl", None)


@pytest.mark.parametrize("spelled", ["./d.jsonl", "{place}/d.jsonl", "link.jsonl", "linked/d.jsonl", "copy.jsonl"])
def test_the_file_of_the_training_is_measured_on_its_held_out_part(spelled, own_place):
    run = run_of(own_place, TEXT)
    (own_place / "link.jsonl").symlink_to("d.jsonl")
    (own_place / "linked").symlink_to(".")
    shutil.copy("d.jsonl", "copy.jsonl")
    assert settled(run, path=spelled.format(place=own_place)).get("validation_path") is None
    with pytest.raises(InputError, match=r"data\.validation_fraction=0\.5: .* was trained with 0\.1"):
        settled(run, path=spelled.format(place=own_place), validation_fraction=0.5)


def test_paths_of_the_training_refer_to_its_folder(own_place, tmp_path_factory, monkeypatch):
    run = run_of(own_place, TEXT)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write(elsewhere / "d.jsonl", LINES.replace("line", "row"))
    monkeypatch.chdir(elsewhere)
    assert settled(run, path="d.jsonl").validation_path == "d.jsonl"
    assert settled(run, path=str(own_place / "d.jsonl")).get("validation_path") is None


@pytest.mark.parametrize("path", ["folder", "more", "*.jsonl"])
def test_data_that_hold_the_training_file_are_refused(path, own_place):
    run = run_of(own_place, TEXT)
    for folder, other in (("folder", "x.jsonl"), ("more", "y.jsonl")):
        write(own_place / folder / other, LINES)
    (own_place / "folder/inside.jsonl").symlink_to(own_place / "d.jsonl")
    (own_place / "more/sub").mkdir()
    (own_place / "more/sub/hard.jsonl").symlink_to("../../d.jsonl")
    with pytest.raises(InputError, match=r"data\.path=.*d\.jsonl"):
        settled(run, path=path)
    assert settled(run, path=path, validation_path=path).validation_path == path


def test_a_part_of_the_training_folder_is_refused(own_place):
    write(own_place / "pics/a/1.png", "")
    write(own_place / "pics/b/2.png", "")
    write(own_place / "others/1.png", "other")
    run = run_of(own_place, IMAGES)
    with pytest.raises(InputError, match=r"data\.path=pics/a"):
        settled(run, path="pics/a")
    assert settled(run, path="others").validation_path == "others"


@pytest.mark.parametrize(
    ("node", "key", "value", "default"),
    [
        (TEXT, "validation_fraction", 0.2, 0.1),
        (TEXT, "document", "paragraph", "line"),
        (TEXT | {"seed": 3}, "seed", 4, 3),
        (STREAM, "validation_documents", 7, 500),
        (IMAGES, "labels", True, False),
    ],
)
def test_another_split_of_the_same_data_is_refused(node, key, value, default, own_place):
    run = run_of(own_place, node)
    with pytest.raises(InputError, match=rf"data\.{key}={value}: .* was trained with {default}"):
        settled(run, **{key: value})
    settled(run, **{key: default}, batch_size=3)


def test_other_classes_split_otherwise(own_place):
    with pytest.raises(InputError, match=r"data\._target_"):
        settled(run_of(own_place, TEXT), _target_=STREAM["_target_"])


def test_a_file_of_few_texts_is_measured_whole(own_place, in_process):
    run = train(own_place, "trainer.max_steps=2")
    texts = Path("corpus.txt").read_text(encoding="utf-8").splitlines()
    write(own_place / "few.txt", f"{texts[0][::-1]}\n{texts[1][::-1]}\n")
    write(own_place / "one.txt", f"{texts[0][::-1]}\n")
    found = {}
    for key in ("data.path=few.txt", "data.validation_path=few.txt", "data.path=one.txt"):
        code, out, error = in_process("eval", run.id, key, "--json")
        assert code == 0, error
        found[key] = json.loads(out)["metrics"]["val/perplexity"]
    assert found["data.path=few.txt"] == found["data.validation_path=few.txt"] != found["data.path=one.txt"]
    code, out, error = in_process("eval", run.id, f"data.path={own_place}/corpus.txt", "--json")
    assert code == 0, error
    kept = {name: value for name, value in run.record.metrics.items() if name.startswith("val/")}
    assert json.loads(out)["metrics"] == kept


def test_rows_that_are_longer_than_the_model_sees_are_refused_before_data_are_prepared(own_place, in_process):
    run = train(own_place, "trainer.max_steps=1")
    write(own_place / "few.txt", "one\ntwo\n")
    code, out, error = in_process("eval", run.id, "data.path=few.txt", "data.sequence_length=4096")
    assert (code, out) == (2, "")
    assert "data.sequence_length (command line: data.sequence_length=4096)" in error
    assert "few.txt" not in error, "nothing was read"
