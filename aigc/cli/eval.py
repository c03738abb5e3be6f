"""`aigc eval RUN`: measure a run's model."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aigc.cli.parts.options import VerbParser, add_overrides, use_trusted
from aigc.errors import InputError
from aigc.printing import print_json

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from aigc.runs import Run


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = VerbParser(
        "eval",
        "Measure a run's model with the run's evaluations, on its held-out data or on the held-out part of other\n"
        "data; data.validation_path=FILE measures on a whole file. Texts that are not measured are not prepared.\n"
        "The result is printed and appended to evaluations.jsonl in the run folder.",
        "aigc eval latest data=couplets evaluation.generation.samples=50",
    )
    made.add_argument("run", metavar="RUN", help="run id, a unique prefix, a path, or latest")
    add_overrides(made, "changes of the run's config: data.*, evaluation.*, trainer.*, data=CHOICE")
    made.add_argument("--json", action="store_true", help="print JSON")
    return made


def run(options: argparse.Namespace) -> None:
    """Measure, print, and append to evaluations.jsonl."""
    from aigc.config import check
    from aigc.config.compose import fill_defaults, override
    from aigc.runs import Run

    use_trusted(options.trust)
    one = Run.open(options.run)
    cfg = override(one.config, options.overrides, ("data", "evaluation", "trainer"))
    fill_defaults(cfg)  # runs of an older version have fewer keys
    check(cfg)
    _check_measured(cfg, options.overrides)
    _check_split(one, cfg)

    from aigc.cli.parts.result import print_columns, score_rows
    from aigc.inference.find import model_of_task
    from aigc.runs.console import show_messages

    show_messages()
    check(cfg, deep=True)
    metrics, signatures = model_of_task(one).measure(cfg, options.overrides)
    if options.json:
        record = {"run_id": one.id, "overrides": options.overrides, "metrics": metrics, "signatures": signatures}
        print_json(record)
    else:
        print_columns(score_rows(metrics, signatures))


def _check_measured(cfg: "DictConfig", overrides: Sequence[str]) -> None:
    """Check that other data are those that are measured: a run may validate on a file of its own.

    Raises:
        InputError: They are not.
    """
    typed = {text.partition("=")[0].lstrip("+") for text in overrides}
    validation = cfg.data.get("validation_path")
    if "data.path" in typed and validation and not typed & {"data", "data.validation_path"}:
        raise InputError(
            f"data.path: this run validates on data.validation_path={validation}, so that another data.path changes "
            "nothing; give data.validation_path=FILE, or data.validation_path=null for a part of data.path"
        )


def _check_split(run: "Run", cfg: "DictConfig") -> None:
    """Check that the data of the run are split as they were for training.

    Raises:
        InputError: They are not, so that what is held out now was trained on.
    """
    before, now = run.config.get("data") or {}, cfg.data
    if now.get("validation_path") or now.get("path") != before.get("path"):
        return
    for key in ("validation_fraction", "seed"):
        if key in now and now[key] != before.get(key):
            raise InputError(
                f"data.{key}={now[key]}: {run.id} was trained with {before.get(key)}, so what is held out now was "
                "trained on; measure on other data with data.validation_path"
            )
