"""What `aigc score` reads from the command line, and what it refuses: one message, exit code 2."""

import gzip
import json
import os

import pytest

from aigc.cli.main import main
from aigc.cli.parts.options import read_value
from aigc.cli.parts.text_metrics import METRICS
from aigc.cli.parts.typed_metrics import is_option
from aigc.config.types import OneOf
from tests.cli.scoring import CHINESE, REFERENCES, lines, samples, scores
from tests.conftest import write


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("13", int, 13),
        ("13", str, "13"),
        ("1e-3", float, 0.001),
        ("true", bool, True),
        ("true", str, "true"),
        ("no", bool, "no"),  # refused afterwards
        ("null", OneOf((float, type(None))), None),
        ("[a, 1]", list, ["a", 1]),
        ("[abc]+", str, "[abc]+"),
        ("[abc]", str, "[abc]"),
        ("a: b # c", str, "a: b # c"),
        ("2024-01-01", str, "2024-01-01"),
        ("[", list, "["),
    ],
)
def test_values_are_parsed_by_the_type_of_their_option(text, kind, value):
    assert read_value(text, kind) == value
    assert type(read_value(text, kind)) is type(value)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("bleu.tokenize=zh", True),
        ("bleu.tokenize=a=b", True),
        ("mine.metrics.Own.unit=1", True),
        ("form_accuracy.pattern=", True),
        ("./a.b=c", False),
        ("a=b.txt", False),
        ("predictions.txt", False),
        ("out/step.txt=1", False),
        ("bleu._target_=os.system", False),
        ("-", False),
    ],
)
def test_options_and_files_are_told_apart(text, is_one):
    assert is_option(text) is is_one


def test_all_wrong_options_are_reported_together_before_any_file_is_read(score):
    code, out, err = score(
        *("nowhere.txt", "nothing.txt", "--metric", "blue", "--metric", "bleu", "--metric", "form_accuracy"),
        *("--metric", "chrf", "bleu.tokenise=zh", "chrf.word_order=two", "ter.normalized=true", "chrv.beta=2"),
    )
    assert (code, out) == (2, "")
    for message in (
        "6 errors",
        "blue (command line: --metric blue): no such metric; did you mean bleu?",
        "bleu.tokenise (command line: bleu.tokenise=zh)",
        "did you mean bleu.tokenize?",
        "chrf.word_order (command line: chrf.word_order=two): 'two' is not an integer",
        "form_accuracy.pattern: missing; give form_accuracy.pattern=VALUE",
        "ter (command line: ter.normalized=true): is not among the metrics; add --metric ter",
        "chrv (command line: chrv.beta=2): no such metric; did you mean chrf?",
    ):
        assert message in err
    assert "nowhere.txt" not in err


def test_all_values_that_metrics_refuse_are_reported_together(files, score):
    code, _, err = score("p.txt", "r.txt", "bleu.tokenize=zz", "rouge.rouge_types=[rouge0]")
    assert code == 2
    assert "'zz'" in err
    assert "rouge0" in err


BAD = {
    "unequal": (["p.txt", "long.txt"], "p.txt has 3 lines, long.txt has 4"),
    "unequal second": (["p.txt", "r.txt", "long.txt"], "p.txt has 3 lines, long.txt has 4"),
    "unequal other": (["p.txt", "r.txt", "--compare", "long.txt"], "p.txt has 3 lines, long.txt has 4"),
    "no such file": (["p.txt", "nowhere.txt"], "nowhere.txt: cannot be read: No such file"),
    "a folder": (["p.txt", "folder"], "folder: cannot be read: Is a directory"),
    "not UTF-8": (["p.txt", "gbk.txt"], "gbk.txt, line 2: not UTF-8: byte 0xB4 at offset 3. It may be GB18030"),
    "no gzip": (["p.txt", "no.txt.gz"], "no.txt.gz: not a gzip file"),
    "half a gzip": (["p.txt", "half.txt.gz"], "half.txt.gz: not a whole gzip file"),
    "empty": (["empty.txt", "r.txt"], "empty.txt: "),
    "empty references": (["p.txt", "empty.txt"], "empty.txt: "),
    "stdin twice": (["-", "-"], "- is given twice"),
    "no file": (["bleu.lowercase=true"], "predictions"),
    "no references": (["p.txt"], "bleu, chrf, rouge: "),
    "a metric as file": (["p.txt", "r.txt", "chrf"], "a metric as --metric chrf"),
    "an option as file": (["p.txt", "r.txt", "tokenize=zh"], "an option as metric.option=value"),
    "unknown metric": (["p.txt", "r.txt", "--metric", "perplexity"], "allowed: bleu, chrf, distinct"),
    "download": (["p.txt", "r.txt", "bleu.tokenize=flores200"], "nothing is downloaded"),
    "bad pattern": (["p.txt", "--metric", "form_accuracy", "form_accuracy.pattern=("], "not a valid pattern"),
    "no class": (["p.txt", "--metric", "aigc.Nothing"], "aigc.Nothing: aigc has no class"),
    "no scorer": (["p.txt", "--metric", "aigc.errors.InputError"], "not a subclass of aigc.metrics.text.scorer.Scorer"),
    "twice the same": (
        ["p.txt", "r.txt", "--metric", "bleu", "--metric", METRICS.targets["bleu"]],
        "another metric gives bleu",
    ),
    "samples": (["p.txt", "r.txt", "--compare", "p.txt", "--samples", "0"], "--samples is 0"),
    "seed": (["p.txt", "r.txt", "--compare", "p.txt", "--seed", "-1"], "--seed is -1"),
    "seed without use": (["p.txt", "r.txt", "--seed", "1"], "are for --compare"),
    "broken JSON": (["broken.jsonl"], "broken.jsonl, line 2, column 11: not JSON"),
    "no object": (["list.jsonl"], "list.jsonl, line 1: a list where an object is needed"),
    "no reference": (["key.jsonl"], "key.jsonl, line 2: there is no 'reference'"),
    "no text": (["null.jsonl"], "null.jsonl, line 1: 'output' is not a string"),
    "samples and lines": (["good.jsonl", "r.txt"], "omit r.txt"),
    "lines and samples": (["p.txt", "good.jsonl"], "give files of one kind"),
    "samples against lines": (["good.jsonl", "--compare", "p.txt"], "compare it with another .jsonl"),
    "other samples": (["good.jsonl", "--compare", "other.jsonl"], "other.jsonl, line 2: its reference"),
    "fewer samples": (["good.jsonl", "--compare", "few.jsonl"], "good.jsonl has 2 samples, few.jsonl has 1"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_reported_in_one_message(what, files, score):
    lines(files / "long.txt", [*REFERENCES, "one more"])
    (files / "folder").mkdir()
    (files / "gbk.txt").write_bytes("a\n春\n夏\n".encode("gb18030").replace(b"a", b"aa"))
    (files / "no.txt.gz").write_bytes(b"the cat\n")
    (files / "half.txt.gz").write_bytes(gzip.compress(os.urandom(1000))[:500])
    (files / "empty.txt").write_bytes(b"")
    samples(files / "good.jsonl", CHINESE, CHINESE)
    samples(files / "other.jsonl", CHINESE, [CHINESE[0], "另一首"])
    samples(files / "few.jsonl", CHINESE[:1], CHINESE[:1])
    write(files / "broken.jsonl", '{"output": "a", "reference": "b"}\n{"output":\n')
    write(files / "key.jsonl", '{"output": "a", "reference": "b"}\n{"output": "a"}\n')
    write(files / "null.jsonl", '{"output": null, "reference": "b"}\n')
    write(files / "list.jsonl", "[1]\n")
    arguments, message = BAD[what]
    code, out, err = score(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("aigc score: ")


def test_missing_files_are_reported(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["score"])
    assert "`aigc score --help`" in capsys.readouterr().err


def test_samples_may_have_several_references_each(files, score):
    rows = [("the cat sat", ["the cat sat", "a cat"]), ("a dog ran", "a dog ran"), ("it is", ["no", "it is", "so"])]
    lines = [json.dumps({"output": output, "reference": given}) + "\n" for output, given in rows]
    write(files / "several.jsonl", "".join(lines))
    write(files / "renamed.jsonl", "".join(lines).replace('"reference"', '"references"'))
    write(files / "whole.json", json.dumps([json.loads(line) for line in lines], indent=1))
    (files / "packed.json.gz").write_bytes(gzip.compress((files / "whole.json").read_bytes()))
    write(files / "one.jsonl", "".join(lines).replace('["no", "it is", "so"]', '["no"]'))
    found = [scores(score(name, "--json", "--metric", "ter")) for name in ("several.jsonl", "renamed.jsonl")]
    found += [scores(score(name, "--json", "--metric", "ter")) for name in ("whole.json", "packed.json.gz")]
    assert found == 4 * [found[0]]
    assert found[0]["ter"] == 0
    assert scores(score("one.jsonl", "--json", "--metric", "ter")) != found[0]


@pytest.mark.parametrize("given", ["[]", "[1]", "null", '{"a": 1}', '["a", null]'])
def test_references_that_are_no_texts_are_refused_with_their_line(given, files, score):
    write(files / "bad.jsonl", f'{{"output": "a", "reference": "a"}}\n{{"output": "a", "reference": {given}}}\n')
    code, _, err = score("bad.jsonl")
    assert code == 2
    assert "bad.jsonl, line 2" in err
    assert "'reference'" in err


def test_files_of_another_kind_are_named(files, score):
    (files / "u16.txt").write_bytes("a\nb\n".encode("utf-16"))
    (files / "gz.txt").write_bytes(gzip.compress(b"a\nb\n"))
    for name, what in {"u16.txt": "UTF-16 text", "gz.txt": "a gzip file"}.items():
        code, _, err = score(name, name)
        assert code == 2
        assert f"{name}: {what}, by its first bytes. " in err
        assert "GB18030" not in err
