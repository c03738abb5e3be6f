"""The metrics of `aigc score-images` by name, and the extractors that names may end with."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from aigc.cli.parts.typed_metrics import TypedMetrics
from aigc.config.class_sources import named_classes
from aigc.errors import InputError

METRICS = TypedMetrics(
    named_classes("aigc.metrics.image", "metric_name"),
    default=("fid", "kid"),
    base="aigc.metrics.image.measure.ImageMeasure",
)
TRAINED = "classifier"
"""The extractor that is trained on the real images."""
_EXTRACTORS = named_classes("aigc.metrics.image.extractors", "name")
EXTRACTORS = TypedMetrics(
    {name: target for name, target in _EXTRACTORS.items() if name != TRAINED},
    default=(),
    base="aigc.metrics.image.extractors.Extractor",
)
OFFLINE = "efficientnet_lite0"
"""The extractor that needs no download."""


class Named(NamedTuple):
    """The parts of a metric's name: `kid_clip` is `kid` with `clip`."""

    metric: str
    extractor: str | None
    """None chooses the default."""


def parse_name(name: str) -> Named:
    """Split a name into metric and extractor; the dotted path of a user's class is kept whole.

    A name without an extractor means the reference: `fid` is that of the Inception network.

    Raises:
        InputError: The suffix of a metric's name is not an extractor.
    """
    from aigc.config.problems import choices

    if "." in name:
        return Named(name, None)
    extractors = [*EXTRACTORS.targets, TRAINED]
    for extractor in extractors:
        if name.endswith(f"_{extractor}"):
            return Named(name.removesuffix(f"_{extractor}"), extractor)
    metric = next((known for known in METRICS.targets if name.startswith(f"{known}_")), None)
    if metric:
        ending = name.removeprefix(f"{metric}_")
        allowed = choices(ending, extractors)
        raise InputError(f"--metric {name}: there is a metric {metric}, but no extractor {ending}. {allowed}")
    return Named(name, "inception")


def by_extractor(named: Sequence[Named], default: Callable[[], str]) -> dict[str, list[str]]:
    """Return the metrics of each extractor, each once, in the order given."""
    fallback = default() if any(one.extractor is None for one in named) else ""
    chosen: dict[str, list[str]] = {}
    for metric, extractor in named:
        metrics = chosen.setdefault(extractor or fallback, [])
        if metric not in metrics:
            metrics.append(metric)
    return chosen


def help_text() -> str:
    """Return the help of metrics and extractors with their options."""
    extractors = EXTRACTORS.help().splitlines()[1:]
    return "\n".join(
        [
            METRICS.help(),
            "",
            "extractors: the end of a metric's name (kid_efficientnet_lite0) chooses one; fid, kid and is alone are",
            "those of the Inception network; classifier is trained on the labels of the real images.",
            "Options (extractor.option=value; default in brackets):",
            *extractors,
        ]
    )


def split_options(typed: list[str]) -> tuple[list[str], list[str]]:
    """Split into options of metrics and options of extractors."""
    of_extractors = [text for text in typed if text.partition(".")[0] in EXTRACTORS.targets]
    return [text for text in typed if text not in of_extractors], of_extractors


def check_options_used(of_extractors: list[str], used: Sequence[str]) -> None:
    """Check that every option belongs to an extractor that a metric uses.

    Raises:
        InputError: An option is not used.
    """
    for text in of_extractors:
        if not used:
            raise InputError(f"{text}: only statistics files are compared, which need no extractor")
        if (name := text.partition(".")[0]) not in used:
            raise InputError(f"{text}: no metric here uses {name}; name one as --metric fid_{name}")
