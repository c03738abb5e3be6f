"""`aigc eval RUN`: measure a run's model."""

import argparse

from aigc.cli.parts.options import VerbParser, add_overrides, use_trusted
from aigc.printing import print_json


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = VerbParser(
        "eval",
        "Measure a run's model with the run's evaluations, on its held-out data or on other data: data.path=FILE is\n"
        "measured whole, data=CHOICE on its held-out part. Texts that are not measured are not prepared.\n"
        "The result is printed and appended to evaluations.jsonl in the run folder.",
        "aigc eval latest data=couplets evaluation.generation.samples=50",
    )
    made.add_argument("run", metavar="RUN", help="run id, a unique prefix, a path, or latest")
    add_overrides(made, "changes of the run's config: data.*, evaluation.*, trainer.*, data=CHOICE")
    made.add_argument("--json", action="store_true", help="print JSON")
    return made


def run(options: argparse.Namespace) -> None:
    """Measure, print, and append to evaluations.jsonl."""
    from aigc.cli.parts.measured_data import settle_measured
    from aigc.config import check
    from aigc.config.compose import fill_defaults, override
    from aigc.runs import Run

    use_trusted(options.trust)
    one = Run.open(options.run)
    cfg = override(one.config, options.overrides, ("data", "evaluation", "trainer"))
    fill_defaults(cfg)  # runs of an older version have fewer keys
    check(cfg)
    settle_measured(one, cfg, options.overrides)

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
