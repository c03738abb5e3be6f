"""`aigc score`: scores, signatures and files."""

import gzip
import io
import json
import os
import signal
import subprocess
import sys

import pytest
import sacrebleu

from aigc.cli.parts.lines import split_lines
from aigc.cli.parts.text_metrics import METRICS
from tests.cli.scoring import CHINESE, PREDICTIONS, REFERENCES, lines, samples, scores
from tests.conftest import REPOSITORY, write


def test_the_scores_are_sacrebleus_and_rouges(files, score):
    code, out, err = score("p.txt", "r.txt", "--json")
    told = json.loads(out)
    assert (code, err, told["texts"]) == (0, "", 3)
    assert (told["predictions"], told["references"]) == ("p.txt", ["r.txt"])
    assert told["scores"]["bleu"] == sacrebleu.corpus_bleu(PREDICTIONS, [REFERENCES]).score
    assert told["scores"]["chrf"] == sacrebleu.corpus_chrf(PREDICTIONS, [REFERENCES]).score
    assert {"rouge1", "rouge2", "rougeL"} <= set(told["scores"])
    assert set(told["signatures"]) == set(told["details"]) == set(METRICS.default)
    assert told["details"]["bleu"]["precisions"] == sacrebleu.corpus_bleu(PREDICTIONS, [REFERENCES]).precisions


def test_the_table_has_two_decimals_and_signatures(files, score):
    exact = scores(score("p.txt", "r.txt", "--json"))
    header, *rows = score("p.txt", "r.txt")[1].splitlines()
    assert header.split() == ["metric", "score", "signature"]
    assert [row.split()[:2] for row in rows] == [[name, f"{value:.2f}"] for name, value in exact.items()]
    assert "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:" in rows[0]
    assert "brevity_penalty" not in "".join(rows)
    assert "brevity_penalty" in score("p.txt", "r.txt", "--details")[1]


def test_several_files_are_several_references_in_any_order(files, score):
    others = ["the cat sat over near a house", "", "the tree walks"]  # an empty line is an empty reference
    lines(files / "r2.txt", others)
    found = score("p.txt", "r.txt", "r2.txt", "--json")
    assert scores(found)["bleu"] == pytest.approx(sacrebleu.corpus_bleu(PREDICTIONS, [REFERENCES, others]).score)
    assert scores(found) == scores(score("p.txt", "r2.txt", "r.txt", "--json"))
    assert "nrefs:2|" in json.loads(found[1])["signatures"]["bleu"]


def test_gz_stdin_byte_order_marks_and_windows_line_ends_change_nothing(files, score, monkeypatch):
    expected = scores(score("p.txt", "r.txt", "--json"))
    data = (files / "p.txt").read_bytes()
    (files / "p.txt.gz").write_bytes(gzip.compress(data))
    (files / "windows.txt").write_bytes(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"))
    (files / "no-end.txt").write_bytes(data.removesuffix(b"\n"))
    for name in ("p.txt.gz", "windows.txt", "no-end.txt"):
        assert scores(score(name, "r.txt", "--json")) == expected
    for arguments in (["-", "r.txt"], ["r.txt", "-"]):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert scores(score(*arguments, "--metric", "exact_match", "--json")) == {"exact_match": 0.0}


def test_lines_end_at_line_feeds_alone():
    text = "a\u2028b\x0cc\rd\n\n二\r\n"
    assert split_lines(text.encode(), "x") == ["a\u2028b\x0cc\rd", "", "二"]
    assert split_lines(b"", "x") == []
    assert split_lines(b"\n", "x") == [""]


def test_samples_of_a_run_hold_their_references(own_place, score):
    samples(own_place / "step-000002.jsonl", CHINESE, CHINESE)
    data = (own_place / "step-000002.jsonl").read_bytes()
    (own_place / "step-000002.jsonl.gz").write_bytes(gzip.compress(data))
    for name in ("step-000002.jsonl", "step-000002.jsonl.gz"):
        assert list(scores(score(name, "--json")).values()) == pytest.approx([100.0] * 5)


def test_a_form_is_that_of_the_whole_text_of_a_sample(own_place, score):
    rows = [
        {
            "prompt": "床前明月光，",
            "output": "疑是地上霜。",
            "reference": "疑是地上霜。",
            "text": "床前明月光，疑是地上霜。",
        },
        {"prompt": "上联", "output": "床前明月光，疑是地上霜。", "reference": "疑是地上霜。"},
    ]
    lines(own_place / "s.jsonl", [json.dumps(row, ensure_ascii=False) for row in rows])
    asked = ["--metric", "form_accuracy", r"form_accuracy.pattern=\p{Han}{5}，\p{Han}{5}。", "--metric", "exact_match"]
    assert scores(score("s.jsonl", *asked, "--json")) == {"form_accuracy": 100, "exact_match": 50}


@pytest.mark.slow
def test_the_samples_that_a_real_run_wrote_are_scored(trained, score):
    newest = max((trained.path / "samples").glob("*.jsonl"))
    rows = [json.loads(line) for line in newest.read_text(encoding="utf-8").splitlines()]
    outputs, references = ([row[key] for row in rows] for key in ("output", "reference"))
    expected = sacrebleu.corpus_chrf(outputs, [references]).score
    assert scores(score(str(newest), "--metric", "chrf", "--json")) == {"chrf": expected}


def test_a_text_that_needs_no_reference_is_measured_alone(files, score):
    pattern = r"form_accuracy.pattern=[a-z ]+ (house|today)"
    found = scores(score("p.txt", "--metric", "distinct", "--metric", "form_accuracy", pattern, "--json"))
    assert found["form_accuracy"] == pytest.approx(200 / 3)
    assert set(found) == {"form_accuracy", "distinct_1", "distinct_2"}


def test_all_metrics_can_be_computed_together(own_place, score):
    lines(own_place / "zh.txt", CHINESE)
    chosen = [word for name in METRICS.targets for word in ("--metric", name)]
    more = ["form_accuracy.pattern=(?:\\p{Han}{5}[，。]){2}", "ter.normalized=true", "ter.asian_support=true"]
    found = scores(score("zh.txt", "zh.txt", *chosen, *more, "--json"))
    alike = {"bleu", "chrf", "rouge1", "rouge2", "rougeL", "exact_match", "form_accuracy"}
    assert {name for name, value in found.items() if value == pytest.approx(100)} >= alike
    assert found["ter"] == 0.0
    assert {"self_bleu", "distinct_1", "distinct_2"} <= set(found)


def test_options_reach_the_metric(files, score):
    options = ["bleu.tokenize=char", "bleu.smooth_method=add-k", "bleu.smooth_value=2e0", "chrf.word_order=2"]
    found = score("p.txt", "r.txt", "rouge.rouge_types=[rouge1, rougeLsum]", *options, "--json")
    plus = sacrebleu.corpus_chrf(PREDICTIONS, [REFERENCES], word_order=2).score
    assert set(scores(found)) == {"bleu", "chrf", "rouge1", "rougeLsum"}
    assert scores(found)["chrf"] == plus
    assert "tok:char|smooth:add-k[2.00]" in json.loads(found[1])["signatures"]["bleu"]


def test_warnings_are_lines_on_stderr(own_place, score):
    lines(own_place / "mixed.txt", [*CHINESE, *REFERENCES])
    code, _, err = score("mixed.txt", "mixed.txt", "--metric", "bleu")
    assert (code, len(err.splitlines())) == (0, 1)
    assert err.startswith("aigc score: warning: BLEU: the references mix scripts")
    lines(own_place / "tokenised.txt", ["it is good ."] * 2500)
    err = score("tokenised.txt", "tokenised.txt", "--metric", "bleu", "bleu.tokenize=13a")[2]
    assert err.startswith("aigc score: warning: BLEU: 2500 predictions end in ' .'")
    assert len(err.splitlines()) == 1
    assert score("tokenised.txt", "tokenised.txt", "--metric", "chrf")[2] == ""


def test_a_score_that_is_not_a_number_is_null_in_json(own_place, score):
    lines(own_place / "short.txt", ["a"])
    found = scores(score("short.txt", "--metric", "distinct", "--json"))
    assert found == {"distinct_1": 100.0, "distinct_2": None}


@pytest.mark.slow
def test_a_signal_ends_at_once_what_leaves_nothing_behind(own_place):
    write(own_place / "long.txt", "".join(f"{' '.join(str(n * k % 97) for k in range(400))}\n" for n in range(3_000)))
    write(own_place / "other.txt", "".join(f"{' '.join(str(n * k % 89) for k in range(400))}\n" for n in range(3_000)))
    command = [sys.executable, "-m", "aigc", "score", "long.txt", "other.txt", "--metric", "ter"]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}) as child:
        with pytest.raises(subprocess.TimeoutExpired):  # it measures for minutes
            child.wait(3)
        child.terminate()
        assert child.wait(20) == -signal.SIGTERM
