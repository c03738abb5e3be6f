"""Tables of the scores of files."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from aigc import printing
from aigc.cli.parts.corpus import Corpus
from aigc.cli.parts.result import print_columns
from aigc.metrics.text.comparison import SystemScores
from aigc.metrics.text.scorer import Measured

_Row = tuple[str, ...]


def print_tables(corpus: Corpus, results: Sequence[SystemScores], samples: int, seed: int, details: bool) -> None:
    """Print the scores with two decimals, and their signatures."""
    if len(results) == 1:
        print_columns([("metric", "score", "signature"), *_scores(results[0])])
    else:
        header = ("metric", "system", "score", "mean ± 95 %", "difference", "p-value")
        print_columns([header, *_compared(corpus, results)])
        print()
        print_columns([("metric", "signature"), *_signatures(results[0], f"bs:{samples}|seed:{seed}")])
    if details:
        print()
        systems = zip(corpus.systems, results, strict=True)
        rows = [row for (file, _), result in systems for row in _details(file, result)]
        print_columns([("system", "metric", "detail", "value"), *rows])


def print_json(corpus: Corpus, results: Sequence[SystemScores], samples: int, seed: int) -> None:
    """Print everything with all digits; a score that is not finite is null."""
    baseline = results[0]
    report: dict[str, Any] = {
        "predictions": corpus.systems[0][0],
        "references": corpus.reference_files,
        "texts": len(corpus.systems[0][1]),
        **_measured(baseline),
        "signatures": {name: one.signature for name, one in baseline.measured.items()},
    }
    if len(results) > 1:
        report["comparison"] = {
            "test": "paired bootstrap resampling",
            "samples": samples,
            "seed": seed,
            **_estimates(baseline),
            "systems": [
                {"predictions": file, **_measured(result), **_estimates(result), **_against(result, baseline)}
                for (file, _), result in list(zip(corpus.systems, results, strict=True))[1:]
            ],
        }
    printing.print_json(_finite(report))


def _scores(result: SystemScores) -> Iterator[_Row]:
    for measured in result.measured.values():
        for name, score in measured.scores.items():
            yield name, f"{score:6.2f}", measured.signature


def _compared(corpus: Corpus, results: Sequence[SystemScores]) -> Iterator[_Row]:
    baseline = results[0].scores
    for name in baseline:
        for index, ((file, _), result) in enumerate(zip(corpus.systems, results, strict=True)):
            found = result.estimates.get(name)
            yield (
                name,
                file,
                f"{result.scores[name]:6.2f}",
                f"{found.mean:6.2f} ± {found.interval:.2f}" if found else "no resampling: not a sum over texts",
                f"{result.scores[name] - baseline[name]:+10.2f}" if index else "",
                f"{result.p_values[name]:.4f}" if name in result.p_values else "",
            )


def _signatures(result: SystemScores, resampling: str) -> Iterator[_Row]:
    """Yield signatures; those of resampled scores name the resampling where sacrebleu does."""
    for name, measured in result.measured.items():
        first, _, rest = measured.signature.partition("|")
        if not set(measured.scores) <= set(result.estimates):
            yield name, measured.signature
        elif first.startswith("nrefs:"):
            yield name, f"{first}|{resampling}|{rest}"
        else:
            yield name, f"{resampling}|{measured.signature}"


def _details(file: str, result: SystemScores) -> Iterator[_Row]:
    for metric, measured in result.measured.items():
        for name, value in _besides_scores(measured).items():
            yield file, metric, name, _shown(value)


def _besides_scores(measured: Measured) -> dict[str, Any]:
    return {name: value for name, value in measured.details.items() if name not in measured.scores}


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " / ".join(map(_shown, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4g}" if abs(value) < 10 else f"{value:.2f}"


def _measured(result: SystemScores) -> dict[str, Any]:
    return {
        "scores": result.scores,
        "details": {name: _besides_scores(measured) for name, measured in result.measured.items()},
    }


def _estimates(result: SystemScores) -> dict[str, Any]:
    return {
        "mean": {name: one.mean for name, one in result.estimates.items()},
        "interval": {name: one.interval for name, one in result.estimates.items()},
    }


def _against(result: SystemScores, baseline: SystemScores) -> dict[str, Any]:
    scores = baseline.scores
    return {
        "difference": {name: score - scores[name] for name, score in result.scores.items()},
        "p_value": result.p_values,
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
