"""What a data module has learned is kept beside a model."""

import pytest
import torch

from aigc.errors import InputError
from aigc.launch import data_state


def test_a_state_is_read_as_it_was_written(tmp_path):
    state = {"learned": {"classes": ["喜", "怒"]}}
    data_state.write(state, tmp_path)
    assert data_state.of_model(tmp_path) == state


def test_an_empty_state_leaves_no_file(tmp_path):
    data_state.write({}, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert data_state.of_model(tmp_path) == {}


@pytest.mark.parametrize("state", [{"seen": torch.tensor(3)}, {"names": {0: "a"}}, {"pair": (1, 2)}])
def test_a_state_that_json_does_not_hold_costs_no_model_and_is_missed_later(state, tmp_path, caplog):
    data_state.write(state, tmp_path)
    assert "model/ does not hold" in caplog.text
    with pytest.raises(InputError, match="does not hold the state"):
        data_state.of_model(tmp_path)
    assert data_state.held(tmp_path) == {}


@pytest.mark.parametrize("content", ["{", "[]"])
def test_damage_is_named(tmp_path, content):
    (tmp_path / data_state.DATA_STATE_FILE).write_text(content)
    with pytest.raises(InputError, match=data_state.DATA_STATE_FILE):
        data_state.of_model(tmp_path)
