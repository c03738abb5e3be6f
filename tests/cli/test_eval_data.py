"""Which data `aigc eval` measures on: a file whole, and nothing that the model was trained on."""

import gzip
import itertools
import json
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from aigc.cli.parts.measured_data import settle_measured
from aigc.config.targets import signature
from aigc.data.text import StreamedText, TextData
from aigc.data.text.stream_prepared import StreamTokenizer
from aigc.errors import InputError
from aigc.runs import Run
from tests.conftest import write
from tests.training.in_process import train

LINES = "".join(f'{{"text": "line {index}"}}\n' for index in range(9))
TEXT = {"_target_": "aigc.data.text.TextData", "path": "d.jsonl"}
STREAM = {"_target_": "aigc.data.text.StreamedText", "path": "d.jsonl"}
PAIRS = TEXT | {"prompt_column": "a", "completion_column": "b"}
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
        (PAIRS, "separator", " => ", ""),
        (PAIRS, "completion_column", "c", "b"),
        (STREAM, "validation_documents", 7, 500),
        (STREAM | {"prompt_column": "a", "completion_column": "b"}, "separator", " => ", ""),
        (IMAGES, "alpha", "white", "drop"),
        (IMAGES, "labels", True, False),
    ],
)
def test_another_split_of_the_same_data_is_refused(node, key, value, default, own_place):
    run = run_of(own_place, node)
    with pytest.raises(InputError, match=rf"data\.{key}={value}: .* was trained with {default}"):
        settled(run, **{key: value})
    settled(run, **{key: default}, batch_size=3)


COLUMNS = ("a", "b", "c", "text")
OTHER_VALUES: dict[str, Sequence[object]] = {
    "separator": (" => ",),
    "document": ("paragraph", "file"),
    "text_column": ("a", "b"),
    "completion_column": ("c",),
    "prompt_column": ("c",),
    "sequence_length": (64,),
    "packing": (False,),
    "batch_size": (2,),
    "shuffle": (False,),
    "group_by_length": (True,),
    "shuffle_buffer": (3,),
    "seed": (4,),
    "validation_fraction": (0.4,),
    "validation_documents": (4,),
    "tokenizer": (StreamTokenizer(kind="character"),),
    "objective": (),  # one of another kind reads other columns: it decides by what it is
    "format": (),  # as an objective
    "chat": (),
    "validation_sets": ({"more": "rows.txt"},),
    "cache": ("other",),
    "num_workers": (1,),
}
"""Of every parameter of text data but the paths, values that it does not have in the test below."""


@pytest.mark.parametrize("kind", [TextData, StreamedText])
def test_whatever_changes_which_texts_are_held_out_is_in_split_by(kind, own_place):
    rows = [{name: f"{name} {index % (3 + at)} {index}" for at, name in enumerate(COLUMNS)} for index in range(40)]
    write(
        own_place / "rows.jsonl",
        "".join(json.dumps(row | {"a": "" if row["a"] < "a 1" else row["a"]}) + "\n" for row in rows),
    )
    write(own_place / "rows.txt", "\n\n".join(f"one {index}\ntwo {index}" for index in range(20)))
    share = {"validation_fraction": 0.2} if kind is TextData else {"validation_documents": 5}
    named = set(signature(f"{kind.__module__}.{kind.__name__}").parameters) - {"path", "validation_path"}
    assert named <= OTHER_VALUES.keys(), "a new parameter: give a value, and see whether it changes what is held out"

    def held_out(path: str, **settings: object) -> list[object]:
        data = kind(path, **{"batch_size": 1, "cache": str(own_place / "cache"), **share, **settings})
        data.prepare_data()
        return [one.plain() for one in data.heldout]

    bases = [("rows.txt", {}), ("rows.jsonl", {}), ("rows.jsonl", {"prompt_column": "a", "completion_column": "b"})]
    changing = set()
    for name in named:
        for value, (path, base) in itertools.product(OTHER_VALUES[name], bases):
            try:
                changing |= {name} if held_out(path, **base) != held_out(path, **base | {name: value}) else set()
            except InputError:  # this kind of data does not have it
                continue
    assert changing == set(kind.split_by) - {"objective", "format", "chat"}


def test_other_classes_split_otherwise(own_place):
    with pytest.raises(InputError, match=r"data\._target_"):
        settled(run_of(own_place, TEXT), _target_=STREAM["_target_"])


def test_a_share_of_other_data_is_held_out_also_where_the_run_validates_on_a_file_of_its_own(own_place):
    run = run_of(own_place, TEXT | {"validation_path": "v.jsonl"})
    data = settled(run, path="e.jsonl", validation_fraction=0.2)
    assert (data.path, data.validation_path) == ("e.jsonl", None)
    for typed in (
        {"validation_fraction": 0.2},
        {"validation_path": None},
        {"path": "./d.jsonl", "validation_path": None},
    ):
        with pytest.raises(InputError, match=r"data\.validation_path: .* validated on v\.jsonl"):
            settled(run, **typed)
    assert settled(run, batch_size=3).validation_path == "v.jsonl"


def folder_run(place: Path, node: dict[str, object]) -> Run:
    """Return a run that was trained on a folder of two files with a file that tells of them."""
    run = run_of(place, node | {"path": "some"})
    write(place / "some/b/1.jsonl", LINES)
    write(place / "some/a.jsonl", LINES.replace("line", "row"))
    write(place / "some/README.md", "lines")
    return run


@pytest.mark.parametrize("node", [TEXT, STREAM, IMAGES])
def test_a_copy_of_the_training_folder_is_measured_on_its_held_out_part(node, own_place):
    run = folder_run(own_place, node)
    shutil.copytree("some", "copied")
    shutil.make_archive("packed", "zip", "some")
    shutil.copytree("some", "gz")
    (own_place / "gz/a.jsonl").unlink()
    (own_place / "gz/a.jsonl.gz").write_bytes(gzip.compress(LINES.replace("line", "row").encode()))
    for path in ("copied", "packed.zip", "gz"):
        assert settled(run, path=path).get("validation_path") is None, path
        with pytest.raises(InputError, match="was trained with"):
            settled(run, path=path, **({"validation_documents": 3} if node is STREAM else {"validation_fraction": 0.5}))


@pytest.mark.parametrize("node", [TEXT, STREAM, IMAGES])
def test_data_with_a_copy_of_a_training_file_are_refused(node, own_place):
    run = folder_run(own_place, node)
    packed = gzip.compress(LINES.encode())
    write(own_place / "more/x.jsonl", LINES)
    write(own_place / "other/x.jsonl", LINES.replace("line", "text"))
    write(own_place / "other/README.md", "lines")
    write(own_place / "text.txt", LINES)
    (own_place / "one.jsonl.gz").write_bytes(packed)
    (own_place / "renamed").mkdir()
    (own_place / "renamed/a.jsonl").write_text(LINES)
    (own_place / "renamed/b.jsonl").write_text(LINES.replace("line", "row"))
    with zipfile.ZipFile("one.zip", "w") as archive:
        archive.writestr("x/1.jsonl", LINES)
        archive.writestr("x/2.jsonl", "{}")
    for path in ("more", "text.txt", "one.jsonl.gz", "renamed", "one.zip"):
        with pytest.raises(InputError, match=rf"data\.path={path}: .* was trained on"):
            settled(run, path=path)
    whole = "validation_path" if node is not STREAM else "path"
    assert settled(run, path="other")[whole] == "other", "only what tells of the data is alike"


def test_a_damaged_packed_file_holds_nothing_that_was_trained_on(own_place):
    run = folder_run(own_place, TEXT)
    (own_place / "new.jsonl.gz").write_bytes(b"no gzip")
    (own_place / "new.zip").write_bytes(b"no archive")
    assert settled(run, path="new.jsonl.gz").validation_path == "new.jsonl.gz"
    assert settled(run, path="new.zip").validation_path == "new.zip"


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
