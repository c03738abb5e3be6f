import pytest

from aigc.config import ConfigError
from aigc.errors import InputError
from aigc.models import TransformersCausalLM
from tests.training.helpers import SETTINGS, text_data, tiny_model

TEXTS = ["春眠不覺曉", "處處聞啼鳥", "夜來風雨聲", "花落知多少"]


def test_vocabulary_and_context_come_from_the_data(tmp_path):
    data = text_data(tmp_path, TEXTS)
    model = tiny_model(data)
    assert model.config.vocab_size == len(data.tokenizer)
    assert model.config.max_position_embeddings == 32
    assert model.config.eos_token_id == data.tokenizer.eos_token_id


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "either architecture"),
        ({"architecture": "gpt2", "path": "x"}, "either architecture"),
        ({"architecture": "gtp2"}, "no architecture 'gtp2'; did you mean gpt2"),
        ({"architecture": "gpt2", "settings": {"n_layers": 3}}, "no 'n_layers'; did you mean n_layer"),
        ({"architecture": "mixtral", "settings": {"output_router_logits": True}}, "balances the experts"),
        ({"architecture": "gpt2", "settings": {"n_positions": 8}}, "longer than the model's context of 8"),
    ],
)
def test_a_wrong_value_is_refused_with_its_reason(arguments, said, tmp_path):
    data = text_data(tmp_path, TEXTS)
    with pytest.raises(ConfigError, match=said):
        TransformersCausalLM(**arguments).create(data)


def test_missing_weights_are_named(tmp_path):
    data = text_data(tmp_path, TEXTS)
    with pytest.raises(InputError, match=r"model.path=nowhere/nothing"):
        TransformersCausalLM(path="nowhere/nothing").create(data)


def test_a_folder_gives_the_same_weights_and_rows_are_only_added(tmp_path):
    data = text_data(tmp_path, TEXTS)
    first = tiny_model(data)
    first.save_pretrained(tmp_path / "saved")
    second = TransformersCausalLM(path=str(tmp_path / "saved")).create(data)
    assert all((a == b).all() for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert second.training  # so that dropout works
    small = TransformersCausalLM(architecture="gpt2", settings=SETTINGS["gpt2"] | {"vocab_size": 5}).create(data)
    assert small.get_input_embeddings().num_embeddings == len(data.tokenizer)
