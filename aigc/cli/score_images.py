"""`aigc score-images IMAGES IMAGES`: measure generated images against real ones."""

import argparse
import os
import textwrap
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc.cli.parts.image_metrics import (
    EXTRACTORS,
    METRICS,
    OFFLINE,
    TRAINED,
    Named,
    by_extractor,
    check_options_used,
    help_text,
    parse_name,
    split_options,
)
from aigc.cli.parts.options import VerbParser, add_trust, use_trusted
from aigc.cli.parts.typed_metrics import is_option
from aigc.errors import InputError
from aigc.printing import print_json

if TYPE_CHECKING:
    from aigc.inference.parts.image_sets import ImageSet
    from aigc.metrics.image import Statistics


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = VerbParser(
        "score-images",
        f"Measure generated images against real ones. Each of the two is one of:\n{_sets()}\n"
        "All metrics of one extractor share one pass; the statistics of the second set are cached.",
        "aigc score-images generated/ real/ --metric fid --metric kid kid.subset_size=500",
        help_text,
    )
    made.add_argument(
        "given", nargs="+", metavar="IMAGES|OPTION", help="generated, real, and metric.option=value, see below"
    )
    made.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME",
        help=f"{', '.join(METRICS.targets)}, with _EXTRACTOR at its end for another network than Inception; repeat it "
        f"for more (fid and kid, of Inception where its weights are available, else of {OFFLINE}; fid alone "
        "where a statistics file holds no features)",
    )
    made.add_argument("--samples", type=int, default=10_000, metavar="N", help="images that a run generates (10000)")
    made.add_argument("--seed", type=int, default=0, metavar="N", help="seed of these images (0)")
    made.add_argument("--batch-size", type=int, default=64, metavar="N", help="images per batch (64)")
    made.add_argument("--skip-bad", action="store_true", help="skip images that cannot be read, and count them")
    made.add_argument("--save-stats", metavar="FILE", help="write the statistics of the one set given to an .npz file")
    made.add_argument("--json", action="store_true", help="print JSON, with all digits")
    add_trust(made)
    return made


def _sets() -> str:
    """List what may be measured: what the formats of images read, and what only this verb takes."""
    from aigc.data.images.formats import described

    others = (
        described(),
        "a statistics file (.npz with mu and sigma, as pytorch-fid and clean-fid write them)",
        "the name of a data config (emoji)",
        "a run, whose best checkpoint generates images that are compared with its training data",
    )
    return "\n".join(textwrap.fill(one, 110, initial_indent="  - ", subsequent_indent="    ") for one in others)


def run(options: argparse.Namespace) -> None:
    """Measure and print."""
    from aigc.runs.console import show_messages

    use_trusted(options.trust)
    names = [text for text in options.given if not is_option(text)]
    of_metrics, of_extractors = split_options([text for text in options.given if is_option(text)])
    _check_options(options, names)
    named = list(map(parse_name, options.metric))
    measures = METRICS.make([one.metric for one in named], of_metrics)  # checked before anything is opened
    show_messages()

    from aigc.inference.parts.image_sets import count_of
    from aigc.metrics.image import Statistics

    sets = _opened(options, names)
    if not named:
        named = [Named(metric, None) for metric in _default_metrics(sets)]
        measures = METRICS.make([one.metric for one in named], of_metrics)
    comparing = [name for name, measure in measures.items() if measure.needs_real]
    if len(sets) == 1 and comparing and not options.save_stats:
        raise InputError(f"{', '.join(comparing)}: real images are needed; give them after {names[0]}")
    files = [one for one in sets if isinstance(one, Statistics)]
    if len(files) == len(sets):
        _check_comparable(named, names, files)
        groups = {"": list(measures)}
    else:
        groups = by_extractor(named, _default_extractor)
    if options.save_stats and len(groups) > 1:
        raise InputError(f"--save-stats writes statistics of one extractor; given are {', '.join(groups)}")
    extractors = _extractors([name for name in groups if name], of_extractors, sets[-1])
    counts = [count_of(one) for one in sets]
    for name, one in zip(names, counts, strict=True):
        if one is not None and one < 2:
            raise InputError(f"{name}: image metrics need at least two images, and there is {one}")
    if None not in counts:
        for name, metrics in groups.items():
            _check_counts(counts, extractors.get(name), {metric: measures[metric] for metric in metrics})
    values: dict[str, float] = {}
    signatures: dict[str, str] = {}
    for name, metrics in groups.items():
        # Copies, as a metric may keep state.
        found = _measure(sets, extractors.get(name), [deepcopy(measures[metric]) for metric in metrics], options)
        values |= found[0]
        signatures |= found[1]
    _print(options, names, counts, values, signatures)


def _opened(options: argparse.Namespace, names: list[str]) -> "list[ImageSet]":
    """Open the sets; a run alone is followed by its training images, which are added to `names`."""
    from aigc.inference.parts.image_sets import RunImages, open_set

    sets = [open_set(name, options.samples, options.seed, "skip" if options.skip_bad else "fail") for name in names]
    if len(sets) == 1 and isinstance(sets[0], RunImages):
        names.append(sets[0].images.name)
        sets.append(sets[0].images)
    return sets


def _default_metrics(sets: "list[ImageSet]") -> Sequence[str]:
    """Return the metrics that the sets suffice for: a statistics file may hold no features."""
    from aigc.metrics.image import Statistics

    bare = any(isinstance(one, Statistics) and one.features is None for one in sets)
    return ("fid",) if bare else METRICS.default


def _check_comparable(named: list[Named], names: list[str], files: "list[Statistics]") -> None:
    """Check that statistics come from the extractors that the metrics name; plain `fid` accepts any."""
    for metric, extractor in named:
        for name, one in zip(names, files, strict=True):
            made_by = one.suffix.removeprefix("_") or "inception"
            if one.identity and extractor not in (None, "inception", made_by):
                raise InputError(f"{metric}_{extractor}: {name} was made by {made_by}; measure the images themselves")


def _extractors(used: list[str], typed: list[str], real: "ImageSet") -> dict[str, Any]:
    """Build the extractors of some names; none where only files are compared."""
    from aigc.data.fingerprints import cache_folder
    from aigc.inference.parts.image_sets import trained_extractor

    check_options_used(typed, used)
    made: dict[str, Any] = {}
    if given := [name for name in used if name != TRAINED]:
        made |= EXTRACTORS.make(given, typed)
    if TRAINED in used:
        made[TRAINED] = trained_extractor(real, cache_folder())
    return made


def _check_counts(counts: list[int | None], extractor: Any, measures: dict[str, Any]) -> None:
    """Check that there are enough images, before they are measured."""
    first, last = counts[0] or 0, counts[-1] or 0
    for name, measure in measures.items():
        reason = measure.refuses(first, last, None if extractor is None else extractor.classes)
        if reason and extractor is not None:
            raise InputError(f"{name}: {reason}")


def _measure(
    sets: "list[ImageSet]", extractor: Any, measures: list[Any], options: argparse.Namespace
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the scores of one extractor and their signatures."""
    from aigc.data.fingerprints import cache_folder
    from aigc.inference.parts.image_sets import generated_statistics, reference_statistics
    from aigc.metrics.image import compare

    keep = any(measure.needs_features for measure in measures)
    generated = generated_statistics(sets[0], extractor, keep, options.batch_size)
    if options.save_stats:
        _save(Path(options.save_stats), generated)
    if len(sets) == 1:
        return compare([measure for measure in measures if not measure.needs_real], generated, None)
    real = reference_statistics(sets[1], extractor, keep, cache_folder(), generated.count, options.batch_size)
    return compare(measures, generated, real.whole, real.heldout)


def _save(path: Path, statistics: "Statistics") -> None:
    from aigc.metrics.image import write_statistics

    try:
        write_statistics(path, statistics)
    except OSError as error:
        raise InputError(f"--save-stats {path}: cannot be written: {error.strerror or error}") from error


def _check_options(options: argparse.Namespace, names: list[str]) -> None:
    """Check that the options fit together, before anything is opened."""
    for option, least in (("samples", 2), ("seed", 0), ("batch_size", 1)):
        if getattr(options, option) < least:
            raise InputError(f"--{option.replace('_', '-')} is {getattr(options, option)}: it must be at least {least}")
    if not 1 <= len(names) <= 2:
        raise InputError(f"{len(names)} sets of images are given; expected the generated ones and the real ones")
    if options.save_stats and len(names) == 2:
        raise InputError("--save-stats writes the statistics of one set: omit the other one")
    if options.save_stats:
        _check_writable(Path(options.save_stats))


def _check_writable(path: Path) -> None:
    """Check that a file can be written, before its content is computed."""
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"--save-stats {path}: there is no folder {folder}; create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"--save-stats {path}: the folder {folder} is not writable")
    if path.is_dir():
        raise InputError(f"--save-stats {path}: this is a folder; give a file in it")


def _default_extractor() -> str:
    """Return the reference extractor where its weights are available, else the one that needs no network."""
    from aigc.metrics.image.extractors.inception import PUBLISHED
    from aigc.metrics.image.extractors.weights import is_at_hand
    from aigc.runs.console import log

    if is_at_hand(PUBLISHED):
        return "inception"
    log.info("the weights of Inception are not available, so %s is used; --metric fid downloads them", OFFLINE)
    return OFFLINE


def _print(
    options: argparse.Namespace,
    names: list[str],
    counts: list[int | None],
    values: dict[str, float],
    signatures: dict[str, str],
) -> None:
    from aigc.cli.parts.result import number, print_columns

    if options.json:
        sets = [{"name": name, "images": count} for name, count in zip(names, counts, strict=True)]
        print_json({"sets": sets, "metrics": values, "signatures": signatures})
    elif values:
        rows = [(name, number(value), signatures[name]) for name, value in values.items()]
        print_columns([("metric", "score", "signature"), *rows])
