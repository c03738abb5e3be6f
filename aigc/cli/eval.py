"""`aigc eval RUN`: measure a run's model."""

import argparse
import json

from aigc.cli.parts.options import VerbParser, add_overrides, use_trusted


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = VerbParser(
        "eval",
        "Measure a run's model with the run's evaluations, on its held-out data or on the held-out part of other\n"
        "data; data.validation_path=FILE measures on a whole file.\n"
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

    from aigc.cli.parts.result import print_columns, score_rows
    from aigc.inference.find import model_of_task
    from aigc.runs.console import show_messages

    show_messages()
    check(cfg, deep=True)
    metrics, signatures = model_of_task(one).measure(cfg, options.overrides)
    if options.json:
        record = {"run_id": one.id, "overrides": options.overrides, "metrics": metrics, "signatures": signatures}
        print(json.dumps(record, ensure_ascii=False))
    else:
        print_columns(score_rows(metrics, signatures))
