"""Config files that a person or another program wrote: each is read, or refused with its file and line."""

import time

import pytest

from aigc.config import ConfigError, compose
from aigc.config.check import find_problems
from aigc.config.yaml_files import read_yaml
from aigc.errors import InputError
from aigc.runs import Run
from tests.cli.image_runs import bare_run
from tests.conftest import write

HEADER = "# @package _global_\n# aigc train experiment=mine\n"


def refused(text, own_place, encoding="utf-8"):
    """The one problem of an experiment with this text."""
    path = own_place / "conf/experiment/mine.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((HEADER + text).encode(encoding))
    with pytest.raises(ConfigError) as caught:
        compose(["experiment=mine"])
    [problem] = caught.value.problems
    return problem


def test_a_byte_order_mark_is_skipped(own_place):
    write(own_place / "conf/experiment/mine.yaml", "\ufeff" + HEADER + "seed: 5\n")
    assert compose(["experiment=mine"]).seed == 5


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "big5", "shift_jis"])
def test_another_encoding_is_named_with_file_and_line(encoding, own_place):
    assert refused("seed: 1 # 春風\n", own_place, encoding).origin == "conf/experiment/mine.yaml:3"


def test_utf16_is_named_with_its_file(own_place):
    assert refused("seed: 1\n", own_place, "utf-16").origin.startswith("conf/experiment/mine.yaml:")


BOMB = "\n".join([f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" if n else "a0: &a0 [x]" for n in range(10)])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (BOMB, 8),
        (f"seed: {'[' * 20_000}{']' * 20_000}", 3),
        (f"seed: {'{a: ' * 20_000}{'}' * 20_000}", 3),
        ("task: &a\n  b: *a", 3),
        ("seed: !!python/object/apply:os.system ['true']", 3),
        ("seed: !!timestamp 2001-01-01", 3),
        ("seed: !!binary aGVsbG8=", 3),
        ("a:\n  seed: 010", 4),
        ("seed: 1:30", 3),
        ("a: [1,", 4),
        ("a: {", 4),
        ("a: 'x", 4),
        ("model: {true: 1}", 3),
        ("model:\n  ~: 1", 4),
        ("model:\n  1e3: 1", 4),
        ('data:\n  path: "a\\0b"', 4),
        ("a: 190:20:30.15", 3),
        (f"seed: {'9' * 5000}", 3),
        ("? [a, b]\n: 1", 3),
        ("? {a: b}\n: 1", 3),
        ("trainer:\n  max_steps: 1\n  max_steps: 2", 5),
        ("seed: 1\n---\nseed: 2", 4),
        ("\tseed: 1", 3),
        ('seed: "${"', 3),
        ("seed: \x01", 3),
    ],
)
def test_what_is_more_than_data_is_refused_within_a_second_at_its_line(text, line, own_place):
    began = time.process_time()
    problem = refused(text + "\n", own_place)
    assert time.process_time() - began < 5
    assert problem.origin.split(":")[:2] == ["conf/experiment/mine.yaml", str(line)], problem


def test_aliases_that_stay_small_are_written_out(own_place):
    write(own_place / "conf/a.yaml", "a: &a {x: 1}\nb: *a\nc:\n  <<: *a\n  y: 2\n")
    assert read_yaml(own_place / "conf/a.yaml").value == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": 2}}


def test_a_file_that_changes_is_read_again(tmp_path):
    path = write(tmp_path / "a.yaml", "a: 1\n")
    assert read_yaml(path).value == {"a": 1}
    write(path, "a: 23\n")
    assert read_yaml(path).value == {"a": 23}


def test_a_value_of_another_file_is_not_changed_by_composing(own_place):
    path = write(own_place / "conf/experiment/mine.yaml", HEADER + "trainer:\n  max_steps: 7\n")
    compose(["experiment=mine", "trainer.max_steps=9"]).trainer.max_steps = 11
    assert read_yaml(path).value == {"trainer": {"max_steps": 7}}


@pytest.mark.parametrize("text", [BOMB, "[" * 20_000, "seed: !!python/name:os.system x", "seed: 1\nseed: 2", "- 1"])
def test_the_config_of_a_foreign_run_folder_can_do_no_more_than_be_wrong(text, tmp_path):
    run = bare_run(tmp_path, "foreign", text)
    with pytest.raises(InputError, match="damaged"):
        _ = Run(run.path).config


@pytest.mark.parametrize("key", ["1", "on", "1.5", "~"])
def test_a_key_at_the_top_that_is_no_text_is_named(key, own_place):
    problem = refused(f"{key}: 3\n", own_place)
    assert (problem.key, problem.origin) == (key, "conf/experiment/mine.yaml:3")


def test_hints_say_what_to_write_instead(own_place):
    assert "tab" in refused("trainer:\n\tmax_steps: 1\n", own_place).what
    write(own_place / "conf/experiment/mine.yaml", HEADER + "trainer.max_steps: 3\n")
    [problem] = find_problems(compose(["experiment=mine"]))
    assert "below trainer" in problem.what
    write(own_place / "conf/experiment/mine.yaml", "# @package foo\nseed: 1\n")
    [problem] = find_problems(compose(["experiment=mine"]))
    assert (problem.key, problem.origin) == ("foo", "conf/experiment/mine.yaml:1")
