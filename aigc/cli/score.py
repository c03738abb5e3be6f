"""`aigc score FILE FILE`: measure texts in plain files."""

import argparse
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aigc.cli.parts.corpus import is_samples, read_corpus
from aigc.cli.parts.options import VerbParser, add_trust, use_trusted
from aigc.cli.parts.text_metrics import METRICS
from aigc.cli.parts.typed_metrics import is_option
from aigc.errors import InputError

if TYPE_CHECKING:
    from aigc.metrics.text.scorer import Scorer


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = VerbParser(
        "score",
        "Measure texts in plain files, one per line in UTF-8: predictions, then references. Several reference files\n"
        "give several references per line; an empty line is an empty text. .gz is decompressed, - is stdin. Samples\n"
        "of a run (.jsonl or .json with output and reference, which may be a list) need no other file.\n"
        "--compare tests whether another system is better by more than chance: paired bootstrap resampling (Koehn,\n"
        "2004), for each metric that is a sum over the texts.",
        "aigc score predictions.txt references.txt bleu.tokenize=zh --compare other.txt",
        METRICS.help,
    )
    made.add_argument(
        "given", nargs="+", metavar="FILE|OPTION", help="predictions, references, and metric.option=value, see below"
    )
    made.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME",
        help=f"{', '.join(METRICS.targets)}, or a class of your own; repeat it for more ({', '.join(METRICS.default)})",
    )
    made.add_argument(
        "--compare",
        action="append",
        default=[],
        metavar="FILE",
        help="predictions of another system for the same references; repeat it for more",
    )
    made.add_argument("--samples", type=int, metavar="N", help="resamples for --compare (1000)")
    made.add_argument("--seed", type=int, metavar="N", help="seed of the resamples (12345)")
    made.add_argument("--details", action="store_true", help="also print the statistics behind the scores")
    made.add_argument("--json", action="store_true", help="print JSON, with details and all digits")
    add_trust(made)
    return made


def run(options: argparse.Namespace) -> None:
    """Measure and print."""
    use_trusted(options.trust)
    samples, seed = _resampling(options)
    files = [text for text in options.given if not is_option(text)]
    scorers = METRICS.make(options.metric, [text for text in options.given if is_option(text)])
    _check_files(files, scorers)

    from aigc.cli.parts.score_tables import print_json, print_tables
    from aigc.metrics.text.comparison import measure_systems

    corpus = read_corpus(files[0], files[1:], options.compare)
    predictions = [texts for _, texts in corpus.systems]
    with _plain_warnings():
        try:
            results = measure_systems(scorers, predictions, corpus.references, samples, seed, corpus.whole)
        except ValueError as error:
            raise InputError(str(error)) from error
    if options.json:
        print_json(corpus, results, samples, seed)
    else:
        print_tables(corpus, results, samples, seed, options.details)


def _resampling(options: argparse.Namespace) -> tuple[int, int]:
    """Return the number of resamples and their seed."""
    from aigc.metrics.text.significance import SAMPLES, SEED

    if not options.compare and (options.samples, options.seed) != (None, None):
        raise InputError("--samples and --seed are for --compare, which is not given")
    samples = SAMPLES if options.samples is None else options.samples
    seed = SEED if options.seed is None else options.seed
    if samples < 1 or seed < 0:
        raise InputError(f"--samples is {samples}, --seed is {seed}: they must be at least 1 and 0")
    return samples, seed


def _check_files(files: Sequence[str], scorers: Mapping[str, "Scorer"]) -> None:
    """Check that there are as many files as the metrics need, before any is read."""
    for file in files:
        if (file in METRICS.targets or "=" in file) and not Path(file).exists():
            meant = f"a metric as --metric {file}" if file in METRICS.targets else "an option as metric.option=value"
            raise InputError(f"{file}: there is no such file; write {meant}")
    if not files:
        raise InputError("no file of predictions is given")
    comparing = [name for name, scorer in scorers.items() if scorer.needs_references]
    if len(files) == 1 and comparing and not is_samples(files[0]):
        raise InputError(f"{', '.join(comparing)}: references are needed; give a file of them after {files[0]}")


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Print warnings as lines on stderr."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: print(f"aigc score: warning: {message}", file=sys.stderr)
        yield
