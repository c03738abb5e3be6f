import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from aigc.config import ConfigError, check, compose
from aigc.config.choices import group_choices
from aigc.config.compose import override
from aigc.config.origins import origins_of
from aigc.config.overrides import parse_overrides
from tests.conftest import write


def problems(overrides):
    with pytest.raises(ConfigError) as caught:
        check(compose(overrides))
    return {problem.key: problem for problem in caught.value.problems}


def test_the_default_config_is_valid():
    cfg = compose()
    check(cfg)
    assert cfg.experiment == "lm/tang_quatrains"


def test_an_experiment_overrides_groups_and_keys():
    cfg = compose(["experiment=lm/couplets"])
    assert cfg.data.prompt_column == "upper"
    assert cfg.experiment == "lm/couplets"


def test_typed_overrides_take_precedence_over_the_experiment():
    assert compose(["trainer.max_steps=7", "experiment=lm/couplets"]).trainer.max_steps == 7


@pytest.mark.parametrize("typed", [["debug=null"], ["experiment=lm/tang_quatrains", "debug=null"]])
def test_null_chooses_no_preset(typed):
    assert OmegaConf.to_yaml(compose(typed)) == OmegaConf.to_yaml(compose())


def test_without_an_experiment_the_groups_alone_make_a_config():
    cfg = compose(["experiment=null", "task=gan", "model=dcgan", "data=letters", "evaluation=images"])
    check(cfg, deep=True)
    assert cfg.experiment == "train"


def test_another_task_does_not_inherit_the_default_experiment():
    cfg = compose(["task=gan", "data=letters", "model=dcgan", "evaluation=images", "optimizer=adam"])
    check(cfg)
    assert "embedding_lr_ratio" not in cfg.task
    found = problems(["task=gan", "experiment=lm/couplets", "task.embedding_lr_ratio=2"])
    assert set(found) == {"task.embedding_lr_ratio"}


def test_an_unknown_choice_lists_the_choices():
    with pytest.raises(
        ConfigError, match=r"experiment .*no choice 'nope'; choices: gan/celeba64_resnet, .*lm/tang_quatrains"
    ):
        compose(["experiment=nope"])


def test_a_part_of_a_choice_suggests_the_nearest_first():
    with pytest.raises(ConfigError, match=r"no choice 'lm/tang'; did you mean lm/tang_quatrains\? choices: gan/"):
        compose(["experiment=lm/tang"])


def test_two_unknown_choices_are_reported_together():
    with pytest.raises(ConfigError) as caught:
        compose(["experiment=nope", "logger=paper"])
    assert len(caught.value.problems) == 2


def test_a_wrong_choice_does_not_hide_other_errors():
    found = problems(["model=gpt3", "trainer.max_steps=abc"])
    assert set(found) == {"model", "trainer.max_steps"}


def test_a_duplicate_key_is_named_with_its_line(own_place):
    text = "# @package _global_\ntrainer:\n  max_steps: 1\n  max_steps: 2\n"
    write(own_place / "conf/experiment/mine.yaml", text)
    write(own_place / "conf/experiment/broken.yaml", "\t{")
    with pytest.raises(ConfigError, match=r"duplicate key max_steps.*conf/experiment/mine.yaml:4"):
        compose(["experiment=mine"])


def test_a_wrong_group_in_a_defaults_list_is_named_with_its_line(own_place):
    text = "# @package _global_\ndefaults:\n  - override /modle: gpt2\n"
    write(own_place / "conf/experiment/mine.yaml", text)
    with pytest.raises(ConfigError, match=r"conf/experiment/mine.yaml:3.*no group 'modle'.*did you mean model"):
        compose(["experiment=mine"])


def test_a_forgotten_package_line_is_named(own_place):
    write(own_place / "conf/experiment/mine.yaml", "trainer:\n  max_steps: 1\n")
    with pytest.raises(ConfigError, match=r"experiment .*mine.yaml.*first line must be `# @package _global_`"):
        compose(["experiment=mine"])


def test_several_values_for_one_key_are_refused():
    with pytest.raises(ConfigError, match=r"aigc sweep"):
        compose(["seed=1,2"])


@pytest.mark.parametrize(
    "value", ["我的 文本/a b.jsonl", "~/x", "it's", "a, (b).txt", "C:\\x\\y", "床前明月光，", "50%"]
)
def test_any_text_can_be_typed_without_quotes(value):
    assert compose([f"data.path={value}"]).data.path == value


def test_grammar_errors_name_the_override():
    with pytest.raises(ConfigError, match=r"cannot read 'data.path=\[1'"):
        compose(["data.path=[1"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("trainer.max_steps", "a key without a value"),
        ("=3", "a value without a key"),
        ("max steps=3", "'max steps' is not a key"),
        ("trainer..x=3", "'trainer..x' is not a key"),
        ("", "it is empty"),
        ("a={x:1,", "an unmatched bracket or quote"),
    ],
)
def test_a_malformed_override_is_explained(text, why):
    with pytest.raises(ConfigError) as found:
        compose([text])
    assert f"cannot read {text!r}: " in str(found.value)
    assert why in str(found.value)
    assert "expected key=value, group=choice or ~key (command line)" in str(found.value)


def test_own_conf_adds_choices_and_shadows_shipped_ones(own_place):
    write(own_place / "conf/data/mine.yaml", "_target_: aigc.data.text.TextData\npath: mine.txt\n")
    write(own_place / "conf/optimizer/adamw.yaml", "_target_: torch.optim.AdamW\nweight_decay: 0.7\n")
    cfg = compose(["data=mine"])
    check(cfg)
    assert cfg.data.path == "mine.txt"
    assert cfg.optimizer.weight_decay == 0.7
    assert "mine" in group_choices()["data"]


def test_typo_in_yaml_names_file_line_and_nearest_key(own_place):
    text = "# @package _global_\n\nseed: 1\ntrainer:\n  max_stesp: 10\n"
    write(own_place / "conf/experiment/mine.yaml", text)
    found = problems(["experiment=mine"])
    assert found["trainer.max_stesp"].origin == "conf/experiment/mine.yaml:5"
    assert "did you mean trainer.max_steps?" in found["trainer.max_stesp"].what


def test_all_errors_are_reported_together():
    found = problems(["trainer.max_steps=abc", "optimizer.lrr=1", "sede=1", "data.tokenizer.knd=bpe", "scheduler=null"])
    assert set(found) == {"trainer.max_steps", "optimizer.lrr", "sede", "data.tokenizer.knd"}
    assert found["trainer.max_steps"].origin == "command line: trainer.max_steps=abc"


def test_broken_yaml_is_named_with_line_and_column(own_place):
    write(own_place / "conf/experiment/mine.yaml", "# @package _global_\nseed: 1\n trainer: [\n")
    with pytest.raises(ConfigError, match=r"conf/experiment/mine.yaml:3"):
        compose(["experiment=mine"])


def test_broken_interpolation_grammar_names_the_file(own_place):
    write(own_place / "conf/experiment/mine.yaml", "# @package _global_\nseed: 1\nexperiment: ${oc.env:X,~}\n")
    with pytest.raises(ConfigError, match=r"conf/experiment/mine.yaml:3"):
        compose(["experiment=mine"])


def test_an_unknown_name_in_a_defaults_list_lists_the_choices(own_place):
    text = "# @package _global_\ndefaults:\n  - override /data: tang_quatrain\n"
    write(own_place / "conf/experiment/mine.yaml", text)
    with pytest.raises(ConfigError, match=r"conf/experiment/mine.yaml:3.*did you mean tang_quatrains"):
        compose(["experiment=mine"])


def test_missing_value_and_failing_interpolation_are_reported(own_place, monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)
    found = problems(["data.separator=${nowhere}", "data.cache=${oc.env:NOT_SET}"])
    assert set(found) == {"data.separator", "data.cache"}


def test_question_marks_need_a_value(own_place):
    write(own_place / "conf/experiment/mine.yaml", "# @package _global_\ndefaults:\n  - override /data: text\n")
    found = problems(["experiment=mine"])
    assert set(found) == {"data.path"}
    assert "needs a value" in found["data.path"].what


def test_deleting_a_key_that_is_not_there_is_an_error():
    with pytest.raises(ConfigError, match="no such key to delete"):
        compose(["~data.nothing"])


def test_null_switches_a_callback_off():
    check(compose(["callbacks.progress=null", "evaluation.generation.metrics.bleu=null", "logger=none"]))


def test_dataclass_defaults_fill_what_no_file_names():
    assert compose().trainer.detect_anomaly is False


def test_override_of_a_frozen_config_replaces_a_whole_group():
    frozen = OmegaConf.create(OmegaConf.to_yaml(compose()))
    changed = override(frozen, ["data=couplets", "data.batch_size=3"], ["data"])
    assert changed.data.prompt_column == "upper"
    assert changed.data.batch_size == 3
    assert "text_column" not in changed.data
    assert frozen.data.text_column == "poem"
    assert origins_of(changed).of("data.batch_size").startswith("command line")


def test_what_is_typed_for_a_frozen_config_is_not_the_origin_of_keys_beside_it():
    changed = override(compose(), ["trainer.max_steps=66", "+callbacks.x.a=1"], ["trainer", "callbacks"])
    origins = origins_of(changed)
    assert origins.of("trainer.max_steps") == "command line: trainer.max_steps=66"
    assert origins.of("trainer.max_time") == ""
    assert origins.of("callbacks.x") == "command line: +callbacks.x.a=1"


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("optimizer.betas=[0.9,x]", "optimizer.betas[1]"),
        ("data.tokenizer={kind: bep}", "data.tokenizer.kind"),
        ("+a.b=1", "a"),
    ],
)
def test_a_typed_value_is_reported_with_the_command_line_as_origin(override, key):
    assert problems([override])[key].origin == f"command line: {override}"


def test_an_unset_variable_is_reported_with_its_key(monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)
    assert set(problems(["trainer.max_steps=${oc.env:NOT_SET}"])) == {"trainer.max_steps"}


def test_a_trained_model_cannot_be_changed():
    with pytest.raises(ConfigError, match=r"model.path .*allowed: data"):
        override(compose(), ["model.path=x"], ["data"])


def test_a_pretrained_model_brings_its_tokenizer():
    cfg = compose(["model=pretrained", "model.path=somewhere"])
    assert (cfg.data.tokenizer.kind, cfg.data.tokenizer.path) == ("pretrained", "somewhere")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("[春眠, 不觉晓,x]", ["春眠", "不觉晓", "x"]),
        ("{one: 中文.jsonl, two: b}", {"one": "中文.jsonl", "two": "b"}),
        ('[["中,文", 1.5], 甲 乙 ]', [["中,文", 1.5], "甲 乙"]),
        ("{k: [甲, {b: 丙}]}", {"k": ["甲", {"b": "丙"}]}),
    ],
)
def test_values_in_lists_and_mappings_need_no_quotes_in_any_script(value, expected):
    assert parse_overrides([f"a={value}"])[0].value() == expected


@given(st.lists(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=1), min_size=1))
def test_a_list_of_chinese_words_is_that_list(words):
    assert parse_overrides([f"a=[{', '.join(words)}]"])[0].value() == words


def test_names_in_another_script_are_refused_with_what_is_allowed():
    with pytest.raises(ConfigError, match="ASCII letters"):
        parse_overrides(["a={中文: b}"])
