"""Slots that an experiment empties in its defaults list, with the keys set for them before."""

import pytest

from aigc.config import ConfigError, build, check, compose, schema
from aigc.config.choices import group_choices
from aigc.evaluation import Evaluation
from tests.config.needs import needs
from tests.conftest import write
from tests.drawing import drawn
from tests.launch.tiny_runs import ALL, EXPERIMENTS, GAN, finish, place_at, the_run

EMPTY = sorted(key for key, slot in schema.slots().items() if slot.optional or slot.named)
NEEDED = sorted(set(schema.slots()) - set(EMPTY))


def derived(folder, base, *slots, more=""):
    """An experiment `mine` that derives from another one and leaves slots empty; its first slot is in line 4."""
    overrides = "".join(f"  - override /{slot}: null\n" for slot in slots)
    write(folder / "conf/experiment/mine.yaml", f"# @package _global_\ndefaults:\n  - {base}\n{overrides}{more}")
    return ["experiment=mine", *needs(f"experiment={base}")]


@pytest.mark.slow
@pytest.mark.parametrize("base", drawn("empty slots", group_choices()["experiment"], 3))
def test_an_experiment_may_leave_out_each_optional_slot(base, own_place):
    check(compose(derived(own_place, base)))
    for slot in EMPTY:
        cfg = compose(derived(own_place, base, slot))
        check(cfg)
        assert cfg[slot] is None
    check(compose(derived(own_place, base, *EMPTY)))


@pytest.mark.parametrize("base", ["lm/tang_quatrains", "gan/digits"])
def test_an_empty_required_slot_is_refused_with_key_and_line(base, own_place):
    for slot in NEEDED:
        with pytest.raises(ConfigError) as caught:
            check(compose(derived(own_place, base, slot)))
        origins = {problem.key: problem.origin for problem in caught.value.problems}
        assert origins[slot] == "conf/experiment/mine.yaml:4"


@pytest.mark.parametrize(
    ("base", "slot"),
    [
        ("lm/tang_quatrains", "evaluation.generation.metrics"),
        ("gan/digits", "evaluation.images.metrics"),
        ("gan/cifar10_r3gan", "task.regularisers"),
    ],
)
def test_null_stands_for_no_members_inside_of_a_node_as_well(base, slot):
    cfg = compose([f"experiment={base}", f"{slot}=null"])
    check(cfg)
    group, name = slot.split(".")[:2]
    if group == "evaluation":
        evaluation = build(cfg.evaluation[name], Evaluation, f"evaluation.{name}")
        assert evaluation.bind(f"evaluation.{name}").metrics == {}


def test_an_empty_slot_may_be_filled_again(own_place):
    more = "evaluation:\n  mine:\n    _target_: aigc.evaluation.TextGeneration\n    metrics: {}\n"
    cfg = compose(derived(own_place, "lm/tang_quatrains", "evaluation", more=more))
    check(cfg)
    assert list(cfg.evaluation) == ["mine"]
    typed = compose([*derived(own_place, "lm/couplets", "evaluation"), "evaluation=generation"])
    check(typed)
    assert list(typed.evaluation) == ["generation"]


def test_keys_for_what_the_same_file_leaves_out_are_refused(own_place):
    more = "evaluation:\n  generation:\n    samples: 3\n"
    with pytest.raises(ConfigError, match=r"evaluation\.generation .*conf/experiment/mine\.yaml:6"):
        check(compose(derived(own_place, "lm/tang_quatrains", "evaluation", more=more)))


@pytest.mark.slow
@pytest.mark.parametrize("slots", [("evaluation",), ("evaluation", "callbacks", "logger")])
@pytest.mark.parametrize("kind", ["language_model", "gan"])
def test_a_run_without_them_trains(kind, slots, tmp_path):
    place = place_at(tmp_path)
    base, *settings = (EXPERIMENTS | {"gan": GAN})[kind]
    kept = [text for text in [*settings, *ALL] if not text.startswith(slots)]
    finish(place, ["train", *derived(place, base.removeprefix("experiment="), *slots), *kept, "trainer.max_steps=1"])
    assert (the_run(place).model / "config.json").is_file()
