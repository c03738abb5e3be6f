import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.errors import InputError
from aigc.runs import metrics_file
from aigc.runs.metrics_file import FIXED_COLUMNS, SIGNATURES, decode_values, encode_values, read, read_last
from aigc.runs.metrics_writer import MetricsFile


def test_round_trip_with_values_json_has_not(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    values = {"loss": math.nan, "up": math.inf, "down": -math.inf, "准确率": 0.1}
    with MetricsFile(path) as file:
        file.append(1, 0, values)
        file.append(2, 0, {"loss": 0.5})
        assert len(read(path)) == 1, "the row of a step is readable once another step has begun"
        file.end_row()
        assert len(read(path)) == 2, "or once it has ended"
    first, second = read(path)
    assert math.isnan(first["loss"])
    assert (first["up"], first["down"], first["准确率"]) == (math.inf, -math.inf, 0.1)
    assert (second["step"], second["epoch"], second["loss"]) == (2, 0, 0.5)
    assert read_last(path) == second
    for line in path.read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@given(st.dictionaries(st.text(max_size=5), st.floats()))
@settings(deadline=None)
def test_every_float_survives(values: dict[str, float]) -> None:
    result = decode_values(json.loads(json.dumps(encode_values(values))))
    assert {name: repr(value) for name, value in result.items()} == {
        name: repr(value) for name, value in values.items()
    }


@pytest.mark.parametrize("torn", [b'{"step": 3, "epo', b'{"step": 3, "epoch": 0, "wall_time": 1.0}', b"x" * 10_000])
def test_torn_last_line_is_ignored_and_cut_off_on_reopening(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsFile(path) as file:
        file.append(1, 0, {"loss": 1.0})
        file.append(2, 0, {"loss": 2.0})
    path.write_bytes(path.read_bytes() + torn)
    assert [row["step"] for row in read(path)] == [1, 2]
    assert read_last(path)["step"] == 2
    with MetricsFile(path) as file:
        file.append(4, 0, {"loss": 4.0})
    assert [row["step"] for row in read(path)] == [1, 2, 4]


def test_only_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step"')
    assert read(path) == []
    MetricsFile(path).close()
    assert path.read_bytes() == b""


def test_damage_in_the_middle_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        '{"step": 1, "epoch": 0, "wall_time": 0}\n{"step": 2, "ep\n{"step": 3, "epoch": 0, "wall_time": 0}\n'
    )
    with pytest.raises(InputError, match="line 2"):
        read(path)


def test_lines_survive_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    code = (
        "import os, signal, sys; from aigc.runs.metrics_writer import MetricsFile\n"
        "file = MetricsFile(sys.argv[1])\n"
        "for step in range(50): file.append(step, 0, {'loss': 1.0}), file.end_row()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    child = subprocess.run([sys.executable, "-c", code, str(path)], env=os.environ, check=False)
    assert child.returncode == -signal.SIGKILL
    assert [row["step"] for row in read(path)] == list(range(50))


@pytest.mark.parametrize("name", [*FIXED_COLUMNS, SIGNATURES])
def test_a_metric_cannot_take_the_name_of_a_column(tmp_path: Path, name: str) -> None:
    with MetricsFile(tmp_path / "m") as file, pytest.raises(ValueError, match=name):
        file.append(1, 0, {name: 1.0})


def test_a_line_can_say_how_its_values_were_made_and_still_reads_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "m"
    with MetricsFile(path) as file:
        file.append(1, 0, {"val/bleu": 7.5}, {"val/bleu": "nrefs:1|tok:zh"})
        file.append(2, 0, {"val/bleu": 8.5})
    assert [json.loads(line).get(SIGNATURES) for line in path.read_text("utf-8").splitlines()] == [
        {"val/bleu": "nrefs:1|tok:zh"},
        None,
    ]
    assert [row["val/bleu"] for row in read(path)] == [7.5, 8.5]
    assert SIGNATURES not in read(path)[0]


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == []
    assert read_last(tmp_path / "none") == {}


def test_a_tail_gives_each_row_once_and_parses_no_more_than_the_new_ones(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    tail = metrics_file.MetricsTail(path)
    assert tail.read() == []
    parsed = []
    parse = metrics_file.parse
    monkeypatch.setattr(metrics_file, "parse", lambda *given: parsed.append(given[2]) or parse(*given))
    with MetricsFile(path) as file:
        for step in range(1, 6):
            file.append(step, 0, {"train/loss": float(step)})
            assert tail.read() == []
            file.end_row()
            assert [row["step"] for row in tail.read()] == [step]
        assert tail.read() == []
        file.append(5, 0, {"val/bleu": 7.0})
        file.end_row()
        assert [(row["step"], row["val/bleu"]) for row in tail.read()] == [(5, 7.0)]
        file.append(6, 0, {"train/loss": 6.0})
        file.end_row()
        assert [row["step"] for row in tail.read()] == [6]
    with path.open("ab") as torn:
        torn.write(b'{"step": 7')
    assert tail.read() == []
    assert len(parsed) == 7
    with MetricsFile(path) as file:  # a resumed run goes back to its checkpoint
        file.resume(path.read_bytes().index(b"\n") + 1)
    assert [row["step"] for row in tail.read()] == [1]


def test_the_values_of_a_step_stand_in_one_row_however_they_come(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsFile(path) as file:
        file.append(1, 0, {"train/loss": 1.0})
        file.append(2, 0, {"train/loss": 0.5, "train/speed": 100.25})
        file.append(2, 0, {"val/bleu": 7.5}, {"val/bleu": "tok:zh"})
    with MetricsFile(path) as file:  # a validation after the training
        file.append(2, 1, {"val/chrf": 1.5, "train/speed": 7.0}, {"val/chrf": "nc:6"})
        file.append(3, 1, {"train/loss": 0.25})
    first, second, third = map(json.loads, path.read_text("utf-8").splitlines())
    assert list(second) == [*FIXED_COLUMNS, "train/loss", "train/speed", "val/bleu", "val/chrf", SIGNATURES]
    assert (second["epoch"], second["train/speed"], second[SIGNATURES]) == (
        0,
        7.0,
        {"val/bleu": "tok:zh", "val/chrf": "nc:6"},
    )
    assert (first["step"], third["train/loss"]) == (1, 0.25)


def test_rows_are_only_appended_each_by_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, writes, write = tmp_path / "metrics.jsonl", [], os.write
    monkeypatch.setattr(os, "write", lambda file, data: writes.append(data) or write(file, data))
    with MetricsFile(path) as file:
        for step in range(1, 5):
            file.append(step, 0, {"train/loss": 1.0})
            file.append(step, 0, {"val/bleu": 7.5})
            file.end_row()
            file.end_row()
    assert writes == path.read_bytes().splitlines(keepends=True)
    assert len(writes) == 4


@pytest.mark.slow
def test_a_reader_sees_whole_rows_alone_while_rows_get_values(tmp_path: Path) -> None:
    """Also those of a row that was written before: the file is replaced then."""
    path = tmp_path / "metrics.jsonl"
    code = (
        "import sys; from aigc.runs.metrics_writer import MetricsFile\n"
        "names = [f'val/{n}' * 40 for n in range(20)]\n"
        "for step in range(300):\n"
        "    with MetricsFile(sys.argv[1]) as file:\n"
        "        for name in names[:2]: file.append(step, 0, {name: step / 7}), file.end_row()\n"
        "        file.append(step, 0, dict.fromkeys(names, 1 / 3))\n"
        "    if step % 50 == 49:\n"
        "        with MetricsFile(sys.argv[1]) as file: file.resume(*file.flush())\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)], env=os.environ)
    tail, seen = metrics_file.MetricsTail(path), set()
    while writer.poll() is None:
        steps = [row["step"] for row in read(path)]
        assert steps == list(range(len(steps)))
        assert not steps or read_last(path)["step"] >= steps[-1] - 1, "it is taken back to be resumed"
        seen.update(row["step"] for row in tail.read())
    assert writer.returncode == 0
    assert seen | {row["step"] for row in tail.read()} == set(range(300))
    assert [len(row) for row in read(path)] == [3 + 20] * 300
    assert len(path.read_bytes().splitlines()) == 300


@pytest.mark.parametrize("ended", [False, True])
def test_a_disk_that_refuses_leaves_the_file_as_it_was_and_loses_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsFile(path) as file:
        file.append(1, 0, {"train/loss": 1.0})
        file.append(2, 0, {"train/loss": 0.5})
        before, write = path.read_bytes(), os.write
        monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:4]))
        for _ in range(2):
            with pytest.raises(OSError, match="space"):
                file.end_row() if ended else file.append(3, 0, {"train/loss": 0.25})
            assert path.read_bytes() == before
        monkeypatch.undo()
        file.append(3, 0, {"train/loss": 0.25})
    assert [(row["step"], row["train/loss"]) for row in read(path)] == [(1, 1.0), (2, 0.5), (3, 0.25)]


def test_a_resumed_run_goes_back_to_the_row_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsFile(path) as file:
        file.append(1, 0, {"train/loss": 1.0})
        file.append(2, 0, {"train/loss": 0.5}, {"train/loss": "mean"})
        size, row = file.flush()
        assert path.stat().st_size == size, "a checkpoint does not end the row"
        file.append(2, 0, {"val/bleu": 7.5})
        file.append(3, 0, {"train/loss": 0.25})
    whole = path.read_text("utf-8").splitlines(keepends=True)
    with MetricsFile(path) as file:
        file.resume(size, row)
        assert path.read_text("utf-8") == whole[0]
        assert file.flush() == (size, row)
        file.append(2, 0, {"val/bleu": 8.5})
    assert path.read_text("utf-8").splitlines(keepends=True) == [whole[0], whole[1].replace('bleu": 7.5', 'bleu": 8.5')]


def test_a_checkpoint_of_earlier_versions_has_the_last_row_within_its_length(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsFile(path) as file:
        file.append(1, 0, {"train/loss": 1.0})
        file.append(2, 0, {"train/loss": 0.5})
    size = path.stat().st_size
    with MetricsFile(path) as file:
        file.append(3, 0, {"train/loss": 0.25})
    with MetricsFile(path) as file:
        file.resume(size)
        file.append(2, 0, {"val/bleu": 7.5})
    assert [(row["step"], row.get("val/bleu")) for row in read(path)] == [(1, None), (2, 7.5)]


def test_a_row_may_be_longer_than_what_is_read_at_first(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for step in range(3):
        with MetricsFile(path) as file:
            file.append(step, 0, {f"val/score_{number}": number / 3 for number in range(5_000)})
            file.end_row()
            file.append(step, 0, {"val/last": 1.0})
    assert path.stat().st_size > 3 * (1 << 16)
    assert [row["val/last"] for row in read(path)] == [1.0] * 3
    assert read_last(path) == read(path)[-1]


def test_a_damaged_last_row_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}{"st\n')
    with MetricsFile(path) as file, pytest.raises(InputError, match=r"metrics\.jsonl"):
        file.append(1, 0, {"train/loss": 1.0})


def test_several_lines_of_a_step_as_earlier_versions_wrote_them_are_one_row(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [(1, {"train/loss": 1.0}), (1, {"train/speed": 5.0}), (2, {"train/loss": 0.5}), (2, {"val/bleu": 7.5})]
    path.write_text("".join(json.dumps({"step": s, "epoch": 0, "wall_time": 1.0} | v) + "\n" for s, v in lines))
    assert [{k: v for k, v in row.items() if "/" in k} for row in read(path)] == [
        {"train/loss": 1.0, "train/speed": 5.0},
        {"train/loss": 0.5, "val/bleu": 7.5},
    ]
    assert len(metrics_file.read_lines(path)) == 4
