"""Which trials a sweep has, by Hydra's sweep grammar; and the numbers of its table."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.config import compose
from aigc.config.identity import identity
from aigc.config.overrides import SeveralValues, parse_overrides
from aigc.config.problems import ConfigError
from aigc.errors import InputError
from aigc.launch.sweeps.search_space import Axis, drawn, grid, read_list, split
from aigc.launch.sweeps.student import share_within, two_sided
from aigc.launch.sweeps.table import Row
from aigc.launch.sweeps.trials import plan


def trials(*overrides):
    return [one.overrides for one in plan(overrides).trials]


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("seed=0,1,2", ["0", "1", "2"]),
        ("seed=range(0,6,2)", ["0", "2", "4"]),
        ("seed=choice(7,8)", ["7", "8"]),
        ("model=gpt2,llama", ["gpt2", "llama"]),
        ("experiment=glob(lm/t*)", ["lm/tang_quatrains", "lm/text"]),
        ("data.path='春天','秋天'", ["'春天'", "'秋天'"]),
        ("optimizer.betas=[0.9,0.95],[0.9,0.999]", ["[0.9,0.95]", "[0.9,0.999]"]),
        ("scheduler=null,linear", ["null", "linear"]),
    ],
)
def test_the_values_of_a_key(typed, values):
    fixed, (axis,) = split(["trainer.max_steps=3", typed])
    assert fixed == ["trainer.max_steps=3"]
    assert list(axis.values) == values
    with pytest.raises(SeveralValues):
        parse_overrides([typed])


def test_one_value_is_no_sweep():
    typed = ["seed=1", "data.path='a,b'", "optimizer.betas=[0.9,0.95]", "x="]
    assert [one.input_line for one in parse_overrides(typed)] == typed


@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True), min_size=1, max_size=3))
def test_a_grid_is_every_combination_once_and_its_last_key_changes_fastest(values):
    axes = [Axis(f"k{number}", tuple(map(str, one))) for number, one in enumerate(values)]
    found = list(grid(axes))
    assert len(found) == math.prod(map(len, values))
    assert len({tuple(one) for one in found}) == len(found)
    assert [one[0] for one in found] == sorted((one[0] for one in found), key=[f"k0={v}" for v in axes[0].values].index)


@settings(max_examples=60)
@given(st.integers(0, 2**20), st.floats(1e-6, 1.0), st.floats(1.001, 1e4), st.booleans())
def test_what_is_drawn_lies_in_its_interval(seed, low, ratio, logarithmic):
    axis = Axis("lr", interval=(low, low * ratio, logarithmic, False))
    for _ in range(20):
        assert low <= float(axis.draw(random.Random(seed))) <= low * ratio
    whole = Axis("n", interval=(1, 9, logarithmic, True))
    assert all(1 <= int(whole.draw(random.Random(one))) <= 9 for one in range(30))


def test_more_draws_begin_with_the_same_ones():
    axes = [Axis("a", ("1", "2")), Axis("b", interval=(0.0, 1.0, False, False))]
    assert list(drawn(axes, 9, 3))[:4] == list(drawn(axes, 4, 3))
    assert list(drawn(axes, 9, 3)) != list(drawn(axes, 9, 4))


def test_each_draw_is_run_with_every_seed_listed():
    axes = [Axis("seed", ("0", "1")), Axis("a", interval=(0.0, 1.0, False, False))]
    found = list(drawn(axes, 3, 5))
    assert [one[1] for one in found] == ["seed=0", "seed=1"] * 3
    assert (
        [one[0] for one in found[::2]] == [one[0] for one in found[1::2]] == [one[0] for one in drawn(axes[1:], 3, 5)]
    )
    assert len({one[0] for one in found}) == 3
    assert len(list(drawn(axes[:1], 4, 5))) == 4


def test_draws_that_are_alike_are_told(caplog):
    assert len(plan(["sweep=random", "sweep.trials=9", "optimizer.lr=1e-3,2e-3", "seed=0,1"]).trials) == 4
    assert "sweep.trials=9: only 4 of 18 trials differ" in caplog.text


def test_how_a_value_is_written_makes_no_other_trial():
    made = plan(["optimizer.lr=1e-3,0.001,0.0010,2e-3", "seed=0,1"])
    assert [(one.number, one.same) for one in made.trials] == [(0, [2, 4]), (1, [3, 5]), (6, []), (7, [])]
    assert made.trials[0].identity == identity(compose(["optimizer.lr=1e-3"]))


def test_the_same_command_is_the_same_sweep_and_another_is_another():
    one = plan(["seed=0,1", "trainer.max_steps=5"])
    assert one.id == plan(["trainer.max_steps=5", "seed=0,1", "sweep.workers=3", "logger=none"]).id
    assert one.id != plan(["seed=0,2", "trainer.max_steps=5"]).id
    assert plan(["seed=0,1", "sweep.name=mine"]).id == "mine"
    assert one.run_id(one.trials[0]) == f"{one.id}-{one.trials[0].identity[:12]}"


def test_every_problem_of_every_trial_is_reported_once():
    with pytest.raises(ConfigError) as found:
        plan(["trainer.max_steps=5,-1,0", "seed=0,1", "optimizer.lrr=1", "model=gpt2,gtp2"])
    message = str(found.value)
    assert message.count("takes no 'lrr'") == 1
    assert message.count("is not an integer of at least 1") == 2
    assert message.count("no choice 'gtp2'") == 1


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["seed=1"], "nothing to sweep"),
        (["optimizer.lr=interval(0,1)"], "sweep=random"),
        (["optimizer.lr=tag(log,interval(0,1))", "sweep=random"], "above 0 on a logarithmic scale"),
        (["experiment=glob(nothing*)"], "experiment=glob(nothing*)"),
        (["sweep=list"], "sweep.path"),
        (["sweep=list", "sweep.path=nowhere.txt"], "sweep.path=nowhere.txt"),
        (["sweep=list", "sweep.path=nowhere.txt", "seed=0,1"], "a list names its trials"),
        (["seed=0,1", "run.id=x"], "sweep.name names the sweep"),
        (["seed=0,1", "sweep.name=a/b"], "sweep.name=a/b"),
        (["seed=0,1", f"+logger.wandb.key=hf_{'a1B2' * 8}"], "a secret cannot be an override"),
        (["seed=0,1", "sweep.workers=0"], "sweep.workers"),
        (["seed=0,1", "trainer.max_stepz=1"], "did you mean trainer.max_steps?"),
    ],
)
def test_wrong_input_is_told(overrides, said):
    with pytest.raises(InputError) as found:
        plan(overrides)
    assert said in str(found.value)


def test_a_list_is_a_file_of_trials(tmp_path):
    file = tmp_path / "trials.txt"
    file.write_text("# two\nseed=1 optimizer.lr=1e-3\n\ndata.prompt='春 天'\n", encoding="utf-8")
    assert list(read_list(file)) == [["seed=1", "optimizer.lr=1e-3"], ["data.prompt=春 天"]]
    file.write_text("seed=1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"trials.txt:1: several values"):
        list(read_list(file))
    file.write_text("# one\nseed=0 optimizer.lr\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"'optimizer.lr': a key without a value; expected key=value.*trials.txt:2\)"):
        list(read_list(file))
    file.write_text("# none\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"sweep\.path=.*trials\.txt"):
        list(read_list(file))


def test_t_is_that_of_the_published_tables():
    published = {1: 12.7062, 2: 4.30265, 3: 3.18245, 4: 2.77645, 9: 2.26216, 10: 2.22814, 30: 2.04227, 120: 1.97993}
    for freedom, value in published.items():
        assert two_sided(0.95, freedom) == pytest.approx(value, abs=5e-6)
    assert share_within(1.0, 1) == pytest.approx(0.5)


def test_a_row_has_mean_deviation_and_interval():
    row = Row((), [2.0, 4.0, 9.0])
    assert row.mean == 5.0
    assert row.deviation == pytest.approx(math.sqrt(13.0))  # (9 + 1 + 16) / (3 - 1)
    assert row.interval == pytest.approx(4.30265 * math.sqrt(13.0 / 3), rel=1e-5)
    assert math.isnan(Row((), [1.0]).interval)
    assert math.isnan(Row(()).mean)
