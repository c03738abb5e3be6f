"""The metrics of `aigc score`: custom ones, their help, and what they import."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from aigc.cli.parts.text_metrics import METRICS
from aigc.config.targets import signature
from tests.cli.scoring import CHINESE, lines, scores
from tests.conftest import WORDS, write

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


def test_a_custom_metric_is_used_once_it_is_trusted(own_place, score, monkeypatch):
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


@pytest.mark.slow
def test_all_metric_names_are_classes_and_in_the_help(aigc):
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
        before = sum(os.times()[2:4])  # CPU time of ended children, independent of other processes
        command = [sys.executable, "-m", "aigc", "score", "p.txt", "r.txt", "--metric", "bleu", "--metric", "chrf"]
        subprocess.run(command, capture_output=True, check=True)
        seconds.append(sum(os.times()[2:4]) - before)
    assert min(seconds) < 1, seconds


def test_a_stemmer_may_import_nltk(files):
    """The negative control of the test above."""
    code = (
        "import sys\nfrom aigc.cli.main import main\n"
        "main(['score', 'p.txt', 'r.txt', '--metric', 'rouge', 'rouge.use_stemmer=true'])\nprint('nltk' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path.cwd(), check=True)
    assert done.stdout.splitlines()[-1] == "True"
