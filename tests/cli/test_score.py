"""`aigc score`: files in, scores out; what is wrong is said in a line and ends with 2."""

import gzip
import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import sacrebleu

from aigc.cli.main import main
from aigc.cli.parts.lines import split_lines
from aigc.cli.parts.options import read_value
from aigc.cli.parts.text_metrics import METRICS
from aigc.cli.parts.typed_metrics import is_option
from aigc.config.targets import signature
from aigc.config.types import OneOf
from tests.conftest import WORDS, write

REFERENCES = ["the cat sat down near the house", "a big dog runs over there today", "the red tree walks and sees it"]
PREDICTIONS = ["the cat sat over near the house", "a big dog walks over there today", "the tree walks and sees it now"]
CHINESE = ["床前明月光，疑是地上霜。", "舉頭望明月，低頭思故鄉。"]


@pytest.fixture
def score(own_place, capsys, monkeypatch):
    """Run `aigc score ...` here: exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "path", [*sys.path])  # aigc adds the working directory

    def run(*arguments):
        code = main(["score", *arguments])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out, shown.err

    return run


@pytest.fixture
def files(own_place):
    """Predictions and references of three lines in p.txt and r.txt."""
    lines(own_place / "p.txt", PREDICTIONS)
    lines(own_place / "r.txt", REFERENCES)
    return own_place


def lines(path, texts):
    return write(path, "".join(f"{text}\n" for text in texts))


def samples(path, outputs, references):
    rows = [{"prompt": "春", "output": o, "reference": r} for o, r in zip(outputs, references, strict=True)]
    return write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def scores(done):
    code, out, err = done
    assert (code, err) == (0, "")
    return json.loads(out)["scores"]


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


def test_the_table_shows_two_digits_and_how_each_score_was_made(files, score):
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


def test_every_metric_can_be_asked_for_at_once(own_place, score):
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


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("13", int, 13),
        ("13", str, "13"),
        ("1e-3", float, 0.001),
        ("true", bool, True),
        ("true", str, "true"),
        ("no", bool, "no"),  # and then is refused
        ("null", OneOf((float, type(None))), None),
        ("[a, 1]", list, ["a", 1]),
        ("[abc]+", str, "[abc]+"),
        ("[abc]", str, "[abc]"),
        ("a: b # c", str, "a: b # c"),
        ("2024-01-01", str, "2024-01-01"),
        ("[", list, "["),
    ],
)
def test_values_are_read_as_their_option_needs_them(text, kind, value):
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
def test_what_is_an_option_and_what_a_file(text, is_one):
    assert is_option(text) is is_one


def test_all_wrong_options_are_said_together_before_any_file_is_read(score):
    code, out, err = score(
        *("nowhere.txt", "nothing.txt", "--metric", "blue", "--metric", "bleu", "--metric", "form_accuracy"),
        *("--metric", "chrf", "bleu.tokenise=zh", "chrf.word_order=two", "ter.normalized=true", "chrv.beta=2"),
    )
    assert (code, out) == (2, "")
    for said in (
        "6 errors",
        "blue (command line: --metric blue): no such metric; did you mean bleu?",
        "bleu.tokenise (command line: bleu.tokenise=zh)",
        "did you mean bleu.tokenize?",
        "chrf.word_order (command line: chrf.word_order=two): 'two' is not an integer",
        "form_accuracy.pattern: missing; give form_accuracy.pattern=VALUE",
        "ter (command line: ter.normalized=true): is not among the metrics; add --metric ter",
        "chrv (command line: chrv.beta=2): no such metric; did you mean chrf?",
    ):
        assert said in err
    assert "nowhere.txt" not in err


def test_all_values_that_metrics_refuse_are_said_together(files, score):
    code, _, err = score("p.txt", "r.txt", "bleu.tokenize=zz", "rouge.rouge_types=[rouge0]")
    assert code == 2
    assert "'zz'" in err
    assert "rouge0" in err


BAD = {
    "unequal": (["p.txt", "long.txt"], "p.txt has 3 lines, long.txt has 4"),
    "unequal second": (["p.txt", "r.txt", "long.txt"], "p.txt has 3 lines, long.txt has 4"),
    "unequal other": (["p.txt", "r.txt", "--compare", "long.txt"], "p.txt has 3 lines, long.txt has 4"),
    "no such file": (["p.txt", "nowhere.txt"], "nowhere.txt: No such file"),
    "a folder": (["p.txt", "folder"], "folder: Is a directory"),
    "not UTF-8": (["p.txt", "gbk.txt"], "gbk.txt, line 2: not UTF-8 at byte 3"),
    "no gzip": (["p.txt", "no.txt.gz"], "no.txt.gz: not a complete gzip file"),
    "half a gzip": (["p.txt", "half.txt.gz"], "half.txt.gz: not a complete gzip file"),
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
    "broken JSON": (["broken.jsonl"], "broken.jsonl, line 2: not JSON"),
    "no object": (["list.jsonl"], "list.jsonl, line 1: there is no 'output'"),
    "no reference": (["key.jsonl"], "key.jsonl, line 2: there is no 'reference'"),
    "no text": (["null.jsonl"], "null.jsonl, line 1: 'output' is not a string"),
    "samples and lines": (["good.jsonl", "r.txt"], "omit r.txt"),
    "lines and samples": (["p.txt", "good.jsonl"], "give files of one kind"),
    "samples against lines": (["good.jsonl", "--compare", "p.txt"], "compare it with another .jsonl"),
    "other samples": (["good.jsonl", "--compare", "other.jsonl"], "other.jsonl, line 2: its reference"),
    "fewer samples": (["good.jsonl", "--compare", "few.jsonl"], "good.jsonl has 2 samples, few.jsonl has 1"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_said_in_one_message(what, files, score):
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
    arguments, said = BAD[what]
    code, out, err = score(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("aigc score: ")


def test_usage_without_files_is_said(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["score"])
    assert "`aigc score --help`" in capsys.readouterr().err


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


@pytest.fixture
def systems(own_place):
    """150 references and three systems, of which the third is clearly better."""
    dice = random.Random(5)
    texts = [dice.choices(WORDS, k=dice.randint(5, 15)) for _ in range(150)]
    lines(own_place / "r.txt", map(" ".join, texts))
    for name, rate in (("a.txt", 0.3), ("b.txt", 0.28), ("c.txt", 0.1)):
        lines(
            own_place / name,
            (" ".join(dice.choice(WORDS) if dice.random() < rate else word for word in text) for text in texts),
        )
    return {name: (own_place / name).read_text().splitlines() for name in ("a.txt", "b.txt", "c.txt", "r.txt")}


def test_systems_are_compared_on_resampled_texts(systems, score):
    _, out, _ = score(
        *("a.txt", "r.txt", "--compare", "b.txt", "--compare", "c.txt", "--json"),
        *("--metric", "bleu", "--metric", "distinct"),
    )
    told = json.loads(out)["comparison"]
    assert (told["samples"], told["seed"]) == (1000, 12345)
    near, better = told["systems"]
    assert [near["predictions"], better["predictions"]] == ["b.txt", "c.txt"]
    for one in (near, better):
        assert set(one["p_value"]) == {"bleu"}  # the other is no sum over texts
        assert one["difference"]["bleu"] == one["scores"]["bleu"] - json.loads(out)["scores"]["bleu"]
        assert one["interval"]["bleu"] > 0
    assert better["p_value"]["bleu"] == pytest.approx(1 / 1001)
    assert near["p_value"]["bleu"] > better["p_value"]["bleu"]


def test_the_table_of_a_comparison_tells_what_has_no_resampling(systems, score):
    arguments = ["a.txt", "r.txt", "--compare", "c.txt", "--metric", "chrf", "--metric", "distinct"]
    code, out, err = score(*arguments, "--samples", "200", "--seed", "7")
    assert (code, err) == (0, "")
    scored, signatures = (part.splitlines() for part in out.split("\n\n"))
    assert [row.split()[:2] for row in scored[1:3]] == [["chrf", "a.txt"], ["chrf", "c.txt"]]
    assert "±" in scored[1]
    assert scored[2].endswith(f"{1 / 201:.4f}")
    assert ["no resampling" in row for row in scored[1:5]] == [False, False, True, True]
    assert signatures[1].split()[1].startswith("nrefs:1|bs:200|seed:7|case:mixed|")
    assert "bs:200" not in signatures[2]
    assert out != score(*arguments, "--samples", "200", "--seed", "8")[1]


def test_the_steps_of_a_run_are_compared_by_their_samples(own_place, score):
    samples(own_place / "step-000001.jsonl", [text[::-1] for text in CHINESE], CHINESE)
    samples(own_place / "step-000002.jsonl", CHINESE, CHINESE)
    code, out, _ = score("step-000001.jsonl", "--compare", "step-000002.jsonl", "--json")
    assert code == 0
    assert json.loads(out)["comparison"]["systems"][0]["scores"]["chrf"] == 100.0


def test_a_score_that_is_no_number_is_null_in_json(own_place, score):
    lines(own_place / "short.txt", ["a"])
    found = scores(score("short.txt", "--metric", "distinct", "--json"))
    assert found == {"distinct_1": 100.0, "distinct_2": None}


OWN = '''
from aigc.metrics.text.scorer import Measured, Scorer


class MeanLength(Scorer):
    """Mean number of characters."""

    needs_references = False

    def __init__(self, scale: float = 1.0) -> None:
        if scale == 13:
            raise ValueError("13 brings bad luck")
        self.scale = scale

    def measure(self, predictions, references=None):
        mean = sum(map(len, predictions)) / len(predictions)
        return Measured({"length": self.scale * mean}, {}, f"scale:{self.scale}")
'''


def test_a_metric_of_your_own_is_used_once_it_is_trusted(own_place, score, monkeypatch):
    monkeypatch.setattr("aigc.config.trust._named", [])
    write(own_place / "my_lengths/__init__.py", OWN)
    lines(own_place / "zh.txt", CHINESE)
    asked = ["zh.txt", "--metric", "my_lengths.MeanLength"]
    code, _, err = score(*asked)
    assert code == 2
    assert "my_lengths.MeanLength: package 'my_lengths' is not trusted" in err
    assert "my_lengths" not in sys.modules
    asked += ["--trust", "my_lengths"]
    assert scores(score(*asked, "my_lengths.MeanLength.scale=0.5", "--json")) == {"length": 6.0}
    code, _, err = score(*asked, "my_lengths.MeanLength.scal=2", "my_lengths.MeanLength.scale=a")
    assert code == 2
    assert "did you mean my_lengths.MeanLength.scale?" in err
    assert "'a' is not a number" in err
    code, _, err = score(*asked, "my_lengths.MeanLength.scale=13")
    assert code == 2
    assert "13 brings bad luck" in err


def test_the_names_are_classes_and_each_is_told_in_the_help(aigc):
    shown = aigc("score", "--help").stdout
    for name, target in METRICS.targets.items():
        assert f"\n{name}: {signature(target).doc.splitlines()[0]}" in shown
        for option, parameter in signature(target).parameters.items():
            assert f"\n  {name}.{option} [{'required' if parameter.required else ''}" in shown
            assert parameter.doc
    assert "[null]" not in "".join(line for line in shown.splitlines() if ".tokenize " in line)
    assert set(METRICS.make(list(METRICS.targets), ["form_accuracy.pattern=a"])) == set(METRICS.targets)


def test_a_small_file_is_answered_within_a_second_and_imports_nothing_heavy(own_place):
    dice = random.Random(1)
    for name in ("p.txt", "r.txt"):
        lines(own_place / name, (" ".join(dice.choices(WORDS, k=20)) for _ in range(500)))
    code = (
        "import sys, time\nfrom aigc.cli.main import main\n"
        "assert main(['score', 'p.txt', 'r.txt', '--metric', 'bleu', '--metric', 'chrf']) == 0\n"
        "assert main(['score', 'p.txt', 'r.txt', '--metric', 'rouge', '--compare', 'p.txt', '--samples', '9']) == 0\n"
        "names = ('torch', 'torchmetrics', 'transformers', 'pandas', 'nltk', 'datasets', 'scipy')\n"
        "print([name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    seconds = []
    for _ in range(2):
        before = sum(os.times()[2:4])  # of ended children: other processes on the machine do not count
        command = [sys.executable, "-m", "aigc", "score", "p.txt", "r.txt", "--metric", "bleu", "--metric", "chrf"]
        subprocess.run(command, capture_output=True, check=True)
        seconds.append(sum(os.times()[2:4]) - before)
    assert min(seconds) < 1, seconds


def test_a_stemmer_may_import_nltk(files):
    """The control of the test above: what it looks for would be seen."""
    code = (
        "import sys\nfrom aigc.cli.main import main\n"
        "main(['score', 'p.txt', 'r.txt', '--metric', 'rouge', 'rouge.use_stemmer=true'])\nprint('nltk' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path.cwd(), check=True)
    assert done.stdout.splitlines()[-1] == "True"
