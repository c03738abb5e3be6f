"""Products of what a user can combine: every experiment with every preset, every wrong node in every slot."""

import pytest
import yaml

from aigc.cli.main import main
from aigc.config import ConfigError, compose, schema
from aigc.config.check import find_problems
from aigc.config.choices import group_choices
from aigc.config.compose import Composer
from aigc.config.keys import known_keys
from aigc.config.yaml_files import read_yaml
from tests.config.needs import needs
from tests.conftest import write

EXPERIMENTS = group_choices()["experiment"]
PRESETS = [None, *group_choices()["debug"]]
CLUSTERS = {"local": [], "slurm": ["cluster=slurm", "cluster.gpus=0", "cluster.tasks=1"]}


def typed(experiment, preset, cluster):
    chosen = [f"experiment={experiment}", *([f"debug={preset}"] if preset else []), *CLUSTERS[cluster]]
    return [*chosen, *needs(f"experiment={experiment}")]


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_with_every_preset_and_cluster(experiment):
    composer = Composer()
    for preset in PRESETS:
        cfg = composer.compose(typed(experiment, preset, "local"))
        assert find_problems(cfg) == []
        assert cfg.experiment == experiment
        assert (cfg.trainer.limit_evaluation_samples is None) == (preset is None)
    assert find_problems(composer.compose(typed(experiment, "fast", "slurm"))) == []


@pytest.mark.parametrize("verb", ["validate", "sweep", "submit", "train --help"])
@pytest.mark.parametrize(("experiment", "cluster"), [("gan/letters", "slurm"), ("lm/couplets", "local")])
def test_every_verb_accepts_every_kind_of_experiment_with_a_preset(verb, experiment, cluster, own_place, capsys):
    arguments = [*VERBS[verb], *typed(experiment, "fast", "slurm" if verb == "submit" else cluster)]
    assert ended(arguments) == 0, capsys.readouterr().err
    assert not (own_place / "outputs").exists()


def ended(arguments):
    """The exit code of a command in this process; a traceback would be an exception here."""
    try:
        return main(arguments)
    except SystemExit as error:
        return error.code


WRONG = {
    "a number": 3,
    "true": "true",
    "a text": '"x"',
    "a list": "[]",
    "an empty mapping": "{}",
    "a number as target": "{_target_: 3}",
    "no such package": "{_target_: nowhere.Thing}",
    "no such module": "{_target_: aigc.nowhere.Thing}",
    "no such class": "{_target_: aigc.callbacks.Nothing}",
    "a class of another base": "{_target_: aigc.runs.Run}",
    "a function": "{_target_: torch.nn.functional.relu}",
}
NAMED = ("evaluation.mine", "callbacks.mine", "logger.mine", "evaluation.generation.metrics.mine")
SLOTS = {
    "lm/tang_quatrains": ("task", "model", "data", "optimizer", "scheduler", "cluster", *NAMED),
    "gan/letters": (
        *("evaluation.images.metrics.mine", "evaluation.images.extractor", "model.generator", "model.discriminator"),
        *("task.loss", "task.regularisers.mine", "task.augmentation"),
    ),
}
"""The slots of an experiment; `mine` is a node that the user adds."""
NAMES = ("task.loss", "evaluation.images.extractor")
"""Slots in which a string is the name of a class, which is resolved when the node is built."""
REPLACED = ("mine", "loss", "extractor", "augmentation")
"""Ends of slots without a mapping, which an empty mapping would leave unchanged."""
VERBS = {
    "validate": ["validate"],
    "train": ["train"],
    "sweep": ["sweep", "seed=0,1", "--dry-run"],
    "submit": ["submit", "--dry-run"],
    "train --help": ["train", "--help"],
}


def wrong_slots(experiment, what):
    """The slots of an experiment in which this value is wrong."""
    slots = [slot for slot in SLOTS[experiment] if not (what == "a text" and slot in NAMES)]
    return [slot for slot in slots if what != "an empty mapping" or slot.endswith(REPLACED)]


def own_preset(folder, slots, value):
    """Write a user's preset with a value in some slots; return the file and line of each."""
    tree = {}
    for slot in slots:
        *above, name = slot.split(".")
        section = tree
        for part in above:
            section = section.setdefault(part, {})
        section[name] = yaml.safe_load(str(value))
    path = write(folder / "conf/debug/mine.yaml", "# @package _global_\n" + yaml.safe_dump(tree))
    lines = read_yaml(path).lines
    return {slot: f"conf/debug/mine.yaml:{lines[slot]}" for slot in slots}


@pytest.mark.parametrize("experiment", SLOTS)
@pytest.mark.parametrize("what", WRONG)
def test_every_wrong_node_in_every_slot_is_refused_with_key_file_and_line(what, experiment, own_place):
    slots = wrong_slots(experiment, what)
    origins = own_preset(own_place, slots, WRONG[what])
    cfg = compose([f"experiment={experiment}", "debug=mine"])
    found = {problem.key: problem.origin for problem in find_problems(cfg)}
    for slot in slots:
        origin = found.get(slot) or found[f"{slot}._target_"]
        assert origin.rpartition(":")[0] == "conf/debug/mine.yaml", (slot, origin)
        assert int(origin.rpartition(":")[2]) - int(origins[slot].rpartition(":")[2]) in (0, 1), (slot, origin)
    with pytest.raises(ConfigError):
        known_keys(cfg)


@pytest.mark.parametrize("experiment", SLOTS)
@pytest.mark.parametrize("what", ["a number", "a class of another base"])
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_refuses_wrong_nodes(verb, what, experiment, own_place, capsys):
    origins = own_preset(own_place, wrong_slots(experiment, what), WRONG[what])
    assert ended([*VERBS[verb], f"experiment={experiment}", "debug=mine"]) == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    assert [slot for slot in origins if f"  {slot}" not in message] == []
    assert not (own_place / "outputs").exists()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_refuses_a_wrong_node_that_was_typed(verb, own_place, capsys):
    assert ended([*VERBS[verb], "callbacks.progress=3", "evaluation.generation.metrics.bleu=true"]) == 2
    message = capsys.readouterr().err
    assert "callbacks.progress (command line: callbacks.progress=3)" in message
    assert "evaluation.generation.metrics.bleu (command line: " in message


def test_a_valid_node_in_each_named_slot_is_accepted(own_place):
    """The negative control: only the values make the nodes above wrong."""
    right = {
        "evaluation.mine": "{_target_: aigc.evaluation.TextGeneration, metrics: {}}",
        "callbacks.mine": "{_target_: pytorch_lightning.callbacks.Timer}",
        "logger.mine": "{_target_: aigc.logger.TensorBoard}",
        "evaluation.generation.metrics.mine": "{_target_: aigc.metrics.text.TER}",
        "evaluation.images.metrics.mine": "{_target_: aigc.metrics.image.PrecisionRecall}",
        "task.regularisers.mine": "{_target_: aigc.losses.R1, gamma: 1.0}",
        "task.augmentation": "{_target_: aigc.augmentation.DiffAugment}",
    }
    for experiment, slots in SLOTS.items():
        tree = {slot: value for slot, value in right.items() if slot in slots}
        lines = [f"+{slot}={value}" for slot, value in tree.items()]
        assert find_problems(compose([f"experiment={experiment}", *lines])) == []


def test_every_slot_of_the_schema_has_wrong_nodes():
    assert set(schema.slots()) == {slot.split(".")[0] for slots in SLOTS.values() for slot in slots}
