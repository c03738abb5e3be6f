"""What the tests of images share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from tests.unit.images.images_samples import packed

settings.register_profile("images", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.load_profile("images")


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder of files: images from arrays, others from bytes."""

    def make(files: dict[str, np.ndarray | bytes], name: str = "faces") -> Path:
        for path, content in files.items():
            place = tmp_path / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else packed(content))
        return tmp_path / name

    return make
