"""Fixtures of tests of adapters."""

from typing import Any

import pytest


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Folders with pretrained weights by architecture."""
    from tests.training.adapted import save_bases  # PEFT takes seconds to import

    return save_bases(tmp_path_factory.mktemp("bases"))


@pytest.fixture(scope="module")
def trained(bases: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Train a kind of adapter once."""
    from tests.training.adapted import trainings

    return trainings(bases, tmp_path_factory.mktemp("trained"))
