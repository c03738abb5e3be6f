"""Bad input gets one clear message, exit code 2, and leaves nothing behind."""

from pathlib import Path

import pytest

from aigc.cli import validate
from aigc.errors import InputError
from aigc.launch.start import check_writable
from tests.conftest import REPOSITORY

BAD = {
    "does not exist": (None, "nowhere.jsonl", [], "nowhere.jsonl"),
    "empty": (b"", "mine.txt", [], "mine.txt"),
    "not UTF-8": ("春\n".encode() + b"\xff\xfe\n", "mine.txt", [], "line 2"),
    "row without the column": (b'{"text": "a"}\n{"txet": "b"}\n', "mine.jsonl", ["data.text_column=text"], "line 2"),
    "JSON that does not parse": (b'{"text": "a"}\n{"text": \n', "mine.jsonl", ["data.text_column=text"], "line 2"),
    "smaller than one batch": ("春眠\n夏\n秋\n".encode(), "mine.txt", ["data.batch_size=8"], "data.batch_size"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", BAD)
def test_bad_data_is_reported_in_one_message_and_nothing_is_left(what, aigc, own_place):
    content, name, more, message = BAD[what]
    if content is not None:
        (own_place / name).write_bytes(content)
    column = [] if "data.text_column=text" in more else ["data.text_column=null"]
    done = aigc("train", f"data.path={name}", *column, *more)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert name in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (own_place / "outputs").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("evaluation.generation.prompt_pattern='['", "is not a regular expression"),
        ("model.architecture=gpt3", "no architecture 'gpt3'"),
        ("model.settings.n_head=7", "model.settings ("),
        ("optimizer.lr=-1", "Invalid learning rate"),
        ("callbacks.checkpoints.monitor=val/fid", "callbacks.checkpoints.monitor"),
    ],
)
def test_errors_found_while_building_are_reported_and_nothing_is_left(override, message, aigc, own_place):
    done = aigc("train", override)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (own_place / "outputs").exists()


@pytest.mark.slow
def test_a_model_setting_of_another_type_is_named(aigc, own_place):
    done = aigc("train", "model.settings.n_layer=010")
    assert (done.returncode, done.stdout) == (2, "")
    assert "model.settings.n_layer (command line: model.settings.n_layer=010)" in done.stderr
    assert not (own_place / "outputs/runs").exists()


@pytest.mark.slow
def test_settings_of_another_architecture_are_named_with_the_file_that_sets_them(aigc, own_place):
    done = aigc("train", "model.architecture=llama")
    assert (done.returncode, done.stdout) == (2, "")
    lines = (REPOSITORY / "conf/model/gpt2.yaml").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "n_layer" in text)
    assert f"model.settings.n_layer ({REPOSITORY}/conf/model/gpt2.yaml:{line})" in done.stderr
    assert "~model.settings.n_layer" in done.stderr
    assert not (own_place / "outputs/runs").exists()


def test_an_override_may_follow_an_option(aigc):
    assert aigc("validate", "experiment=lm/couplets", "--trust", "mine", "seed=2").returncode == 0


def test_a_wrong_config_is_reported_and_nothing_is_left(aigc, own_place):
    done = aigc("train", "trainer.max_stepz=3", "modle=x")
    assert done.returncode == 2
    assert "did you mean trainer.max_steps?" in done.stderr
    assert "2 errors" in done.stderr
    assert not (own_place / "outputs").exists()


@pytest.mark.slow
def test_an_output_folder_that_cannot_be_created_is_reported_first(aigc, own_place):
    (own_place / "file").write_text("")
    done = aigc("train", "paths.outputs=file/outputs")
    assert done.returncode == 2
    assert "is a file" in done.stderr


def test_validate_reports_that_files_were_not_read(own_place, capsys):
    validate.run(validate.parser().parse_args(["data.path=nofile.txt"]))
    assert capsys.readouterr().out.strip() == (
        "lm/tang_quatrains: the config is valid; files that it names were not read"
    )


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")
def test_an_unwritable_output_folder_is_reported():
    with pytest.raises(InputError, match=r"paths.outputs: /proc .*No such file or directory"):
        check_writable(Path("/proc/nope/runs"))  # where root may not write either


def test_a_writable_output_folder_is_left_empty(tmp_path):
    check_writable(tmp_path / "outputs" / "runs")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["show", "eval", "generate"])
def test_an_unknown_run_is_reported(aigc, verb):
    done = aigc(verb, "lm-nothing")
    assert done.returncode == 2
    assert "lm-nothing" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_verb_and_option_are_reported(aigc):
    assert aigc("trian").returncode == 2
    done = aigc("train", "--nothing")
    assert done.returncode == 2
    assert "aigc train --help" in done.stderr


@pytest.mark.parametrize("typed", [["show"], ["resume"], ["validate", "experiment="], ["train", "data.path="]])
def test_a_name_that_no_file_can_have_is_bad_input(aigc, own_place, typed):
    *verb, key = typed if len(typed) > 1 else [*typed, ""]
    done = aigc(*verb, key + "x" * 5000)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr) < 1000
    assert not (own_place / "outputs/runs").exists()
