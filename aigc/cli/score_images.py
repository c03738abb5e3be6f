"""`aigc score-images IMAGES IMAGES`: measure generated images against real ones."""

import argparse
import json
from typing import TYPE_CHECKING, Any

from aigc.cli.image_metrics import (
    EXTRACTORS,
    METRICS,
    OFFLINE,
    TRAINED,
    by_extractor,
    help_text,
    refuse_foreign,
    split_options,
    take_apart,
)
from aigc.cli.options import VerbParser, add_trust, use_trusted
from aigc.cli.typed_metrics import is_option
from aigc.errors import InputError

if TYPE_CHECKING:
    from aigc.launch.image_sets import ImageSet


def parser() -> argparse.ArgumentParser:
    """The verb's arguments."""
    made = VerbParser(
        "score-images",
        "Measure generated images against real ones. Each of the two is a folder, .zip, .npz or .npy with pictures; a\n"
        "statistics file (.npz with mu and sigma, as pytorch-fid and clean-fid write them); the name of a data config\n"
        "(emoji); or a run, whose best checkpoint makes the images, to be compared with its training data.\n"
        "All metrics of one extractor come from one pass; what is measured of the second set is kept in the cache.",
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
        f"for more (fid and kid, of Inception where its weights are at hand, else of {OFFLINE})",
    )
    made.add_argument("--samples", type=int, default=10_000, metavar="N", help="images that a run makes (10000)")
    made.add_argument("--seed", type=int, default=0, metavar="N", help="seed of these (0)")
    made.add_argument("--batch-size", type=int, default=64, metavar="N", help="images extracted together (64)")
    made.add_argument("--skip-bad", action="store_true", help="leave out pictures that cannot be read, and count them")
    made.add_argument("--save-stats", metavar="FILE", help="write the statistics of the one set given to an .npz file")
    made.add_argument("--json", action="store_true", help="print JSON, with all digits")
    add_trust(made)
    return made


def run(options: argparse.Namespace) -> None:
    """Measure and print."""
    from aigc.runs.console import show_messages

    use_trusted(options.trust)
    names = [text for text in options.given if not is_option(text)]
    of_metrics, of_extractors = split_options([text for text in options.given if is_option(text)])
    _see(options, names)
    show_messages()
    needed = not options.metric or any(take_apart(name).extractor is None for name in options.metric)
    default = _default_extractor() if needed else OFFLINE
    wanted = options.metric or [f"{name}_{default}" for name in METRICS.default]
    groups = by_extractor(wanted, default)
    refuse_foreign(of_extractors, list(groups))
    chosen = [metric for metrics in groups.values() for metric in metrics]
    measures = METRICS.make(chosen, of_metrics)
    given = [name for name in groups if name != TRAINED]
    extractors = EXTRACTORS.make(given, of_extractors) if given else {}

    from aigc.data.fingerprints import cache_folder
    from aigc.launch.image_sets import Generator, count_of, open_set, trained_extractor

    sets = [open_set(name, options.samples, options.seed, "skip" if options.skip_bad else "fail") for name in names]
    if len(sets) == 1 and isinstance(sets[0], Generator):
        sets.append(sets[0].images)
        names.append(sets[0].images.name)
    comparing = [name for name, measure in measures.items() if measure.needs_real]
    if len(sets) == 1 and comparing and not options.save_stats:
        raise InputError(f"{', '.join(comparing)}: compared with real images; name the real ones after {names[0]}")
    values: dict[str, float] = {}
    signatures: dict[str, str] = {}
    if TRAINED in groups:
        extractors[TRAINED] = trained_extractor(sets[-1], cache_folder())
    for name, metrics in groups.items():
        found = _measure(sets, extractors[name], [measures[metric] for metric in metrics], options)
        values |= found[0]
        signatures |= found[1]
    _print(options, names, [count_of(one) for one in sets], values, signatures)


def _measure(
    sets: "list[ImageSet]", extractor: Any, measures: list[Any], options: argparse.Namespace
) -> tuple[dict[str, float], dict[str, str]]:
    """The scores of one extractor, and how they were made."""
    from pathlib import Path

    from aigc.data.fingerprints import cache_folder
    from aigc.launch.image_sets import generated_statistics, reference_statistics
    from aigc.metrics.image import compare, write_statistics

    keep = any(measure.needs_features for measure in measures)
    generated = generated_statistics(sets[0], extractor, keep, options.batch_size)
    if options.save_stats:
        write_statistics(Path(options.save_stats), generated)
    if len(sets) == 1:
        return compare([measure for measure in measures if not measure.needs_real], generated, None)
    real = reference_statistics(sets[1], extractor, keep, cache_folder(), generated.count)
    return compare(measures, generated, real.whole, real.heldout)


def _see(options: argparse.Namespace, names: list[str]) -> None:
    """See that what was typed fits together, before anything is opened."""
    for option, least in (("samples", 2), ("seed", 0), ("batch_size", 1)):
        if getattr(options, option) < least:
            raise InputError(f"--{option.replace('_', '-')} is {getattr(options, option)}: it must be at least {least}")
    if not 1 <= len(names) <= 2:
        raise InputError(f"{len(names)} sets of images are given: expected the generated ones, and the real ones")
    if options.save_stats and len(names) == 2:
        raise InputError("--save-stats writes the statistics of one set: leave the other out")


def _default_extractor() -> str:
    """The reference where its weights are at hand, else the one that needs no network."""
    from aigc.metrics.image.extractors.inception import PUBLISHED
    from aigc.metrics.image.extractors.weights import is_at_hand
    from aigc.runs.console import log

    if is_at_hand(PUBLISHED):
        return "inception"
    log.info("the weights of Inception are not here, so %s measures; --metric fid fetches them", OFFLINE)
    return OFFLINE


def _print(
    options: argparse.Namespace,
    names: list[str],
    counts: list[int | None],
    values: dict[str, float],
    signatures: dict[str, str],
) -> None:
    from aigc.cli.result import number, print_columns

    if options.json:
        sets = [{"name": name, "images": count} for name, count in zip(names, counts, strict=True)]
        print(json.dumps({"sets": sets, "metrics": values, "signatures": signatures}, ensure_ascii=False))
    elif values:
        rows = [(name, number(value), signatures[name]) for name, value in values.items()]
        print_columns([("metric", "score", "signature"), *rows])
