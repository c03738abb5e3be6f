"""The guide on extending: everything in it runs, with the files that it shows."""

import pytest

from tests.conftest import write
from tests.docs.inputs import write_texts
from tests.docs.pages import GUIDES, blocks, run_page, write_files
from tests.small_models import shrink_models

PAGE = GUIDES / "extend.md"
FILES = [
    "conf/data/mine.yaml",
    "my_package/length.py",
    "my_package/smooth.py",
    "my_package/gan.py",
    "conf/model/networks.yaml",
    "conf/experiment/small_gan.yaml",
]


@pytest.mark.slow
def test_commands_and_code_run(aigc, own_place):
    shrink_models(own_place)
    assert write_files(PAGE, own_place) == FILES
    write(own_place / "predictions.txt", "今天天气很好\n")
    run_page(PAGE, aigc, own_place)


@pytest.mark.slow
def test_the_data_set_is_right(aigc, own_place):
    write_files(PAGE, own_place)
    write_texts(own_place / "mine.jsonl")
    done = aigc("validate", "data=mine")
    assert done.returncode == 0, done.stderr


def test_the_pyproject_trusts(aigc, own_place):
    write_files(PAGE, own_place)
    own = "+evaluation.generation.metrics.length._target_=my_package.length.MeanLength"
    assert aigc("validate", own).returncode == 2
    (block,) = [block for block in blocks(PAGE) if block.language == "toml"]
    write(own_place / block.file, block.code)
    done = aigc("validate", own)
    assert done.returncode == 0, done.stderr
