"""`aigc validate`: check a config."""

import argparse

from aigc.cli.parts.options import ConfigParser, use_trusted


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = ConfigParser(
        "validate",
        "Check a config without torch: every key, type, value and _target_, with the file and line that set it.\n"
        "Data and other files that it names are not read.",
        "aigc validate experiment=lm/couplets trainer.max_steps=100",
    )
    made.add_argument(
        "--deep",
        action="store_true",
        help="also import every class, check its base class, and build callbacks, optimiser and schedule",
    )
    made.add_argument("--print", action="store_true", help="print the resolved config as YAML")
    return made


def run(options: argparse.Namespace) -> None:
    """Check, and print the result."""
    from aigc.config import check, compose
    from aigc.config.followed import idle_followers
    from aigc.config.origins import origins_of
    from aigc.launch.clusters.submit import check_cluster

    use_trusted(options.trust)
    cfg = compose(options.overrides)
    check_cluster(cfg)
    check(cfg, deep=options.deep)
    if options.deep:
        from aigc.launch.deep_check import check_buildable

        check_buildable(cfg)
    if options.print:
        from aigc.config.freeze import frozen_yaml
        from aigc.printing import print_yaml

        print_yaml(frozen_yaml(cfg))
    else:
        print(f"{cfg.experiment}: the config is valid; files that it names were not read")
        for note in origins_of(cfg).notes:
            print(f"note: {note}")
        for key in idle_followers(cfg):
            print(f"note: {key} looks at validations and evaluations, and there is none before the end")
