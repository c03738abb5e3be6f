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


def test_a_state_with_tensors_costs_no_model(tmp_path, caplog):
    data_state.write({"seen": torch.tensor(3)}, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert "Tensor" in caplog.text


@pytest.mark.parametrize("content", ["{", "[]"])
def test_damage_is_named(tmp_path, content):
    (tmp_path / data_state.DATA_STATE_FILE).write_text(content)
    with pytest.raises(InputError, match=data_state.DATA_STATE_FILE):
        data_state.of_model(tmp_path)
