"""`aigc generate` for a run of an image model."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from aigc.cli.generate import parser
from tests.cli.image_runs import Verb, bare_run, image_run
from tests.unit.models import tiny_generators

NAMES = ["A", "B", "c/d"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Runs whose generator is in a package of the user beside them."""
    folder = tmp_path_factory.mktemp("generate")
    shutil.copy(tiny_generators.__file__, folder / "my_generators.py")
    image_run(folder, "labelled", "TinyGenerator", NAMES, module="my_generators")
    image_run(folder, "styled", "TinyStyles", module="my_generators")
    return folder


@pytest.fixture
def make(place, monkeypatch, capsys):
    """`aigc generate` in this process."""
    verb = Verb("generate", place, monkeypatch, capsys)
    return lambda *arguments, trusting="my_generators": verb(*arguments, "--trust", trusting)


def pixels(path):
    with Image.open(path) as image:
        return np.array(image)


@pytest.mark.slow
def test_a_process_writes_a_grid_and_prints_its_name(place):
    env = os.environ | {"AIGC_OUTPUTS": str(place / "outputs")}
    command = [sys.executable, "-m", "aigc", "generate", "labelled", "num_images=6", "--trust", "my_generators"]
    done = subprocess.run(command, cwd=place, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "labelled-0.png\n", "")
    assert pixels(place / "labelled-0.png").shape == (14, 22, 3), "a column for each class"


def test_single_files_show_what_the_grid_shows(make, place):
    assert make("labelled", "num_images=6", "--out", "grid.png") == (0, "grid.png\n", "")
    sheet = pixels(place / "grid.png")
    code, told, _ = make("labelled", "seed=3-4,0", "labels=A,1,c/d", "--out", "single", "--json")
    assert code == 0
    rows = [json.loads(line) for line in told.splitlines()]
    assert [(row["seeds"], row["labels"]) for row in rows] == [([3], ["A"]), ([4], ["B"]), ([0], ["c/d"])]
    files = [place / row["file"] for row in rows]
    assert [file.name for file in files] == ["seed000003-A.png", "seed000004-B.png", "seed000000-class2.png"]
    assert np.array_equal(pixels(files[0]), sheet[8:14, 0:6]), "alone as in a grid"
    assert np.array_equal(pixels(files[1]), sheet[8:14, 8:14])
    assert not np.array_equal(pixels(files[2]), sheet[0:6, 0:6]), "another label"
    assert not list(place.rglob(".*.tmp"))


def test_strips_frames_animations_and_tables(make, place):
    assert make("styled", "seed=1,5", "interpolation=4")[:2] == (0, "styled-1-interpolation.png\n")
    strip = pixels(place / "styled-1-interpolation.png")
    assert strip.shape == (6, 30, 3)
    assert make("styled", "seed=1,5", "interpolation=4", "--out", "frames")[0] == 0
    assert np.array_equal(pixels(place / "frames/frame-00002.png"), strip[:, 16:22])
    assert make("styled", "seed=1,5", "interpolation=4", "--out", "way.webp")[:2] == (0, "way.webp\n")
    with Image.open(place / "way.webp") as movie:
        assert movie.n_frames == 6
    assert make("styled", "mixing=2x3", "truncation=0.5", "--out", str(place / "mixed.png"))[0] == 0
    table = pixels(place / "mixed.png")
    assert table.shape == (22, 30, 3)
    assert make("styled", "seed=3", "truncation=0.5", "num_images=1", "--out", "third.png")[0] == 0
    assert np.array_equal(table[0:6, 16:22], pixels(place / "third.png")), "the second column is of the fourth seed"


def test_nothing_is_overwritten_unless_asked(make, place):
    (place / "a.png").write_text("mine")
    code, told, message = make("styled", "--out", "a.png")
    assert (code, told) == (2, "")
    assert "a.png " in message
    assert "--force" in message
    assert (place / "a.png").read_text() == "mine"
    assert make("styled", "--out", "a.png", "--force")[0] == 0
    assert pixels(place / "a.png").shape == (30, 30, 3)
    (place / "full").mkdir()
    (place / "full/seed000001.png").write_text("mine")
    code, _, message = make("styled", "seed=0,1", "--out", "full")
    assert code == 2
    assert "full/seed000001.png " in message
    assert not (place / "full/seed000000.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["labelled", "labels=A,b"], "labels=A,b: no class 'b'. Did you mean B? Allowed: A, B, c/d."),
        (["styled", "labels=A"], "data.labels=true"),
        (["styled", "truncation=1.5"], "truncation (command line: truncation=1.5): 1.5 is not a number of at least 0"),
        (["labelled", "truncation=0"], "truncation=0: TinyGenerator has no styles"),
        (["labelled", "mixing=2x2"], "mixing: TinyGenerator has no styles to mix"),
        (["labelled", "temperature=1"], "temperature (command line: temperature=1): no such key"),
        (["labelled", "--prompts", "x"], "--prompts is not for images, which labelled makes"),
        (["styled", "seed=1", "num_images=1", "interpolation=3"], "interpolation needs at least two images"),
        (["styled", "mixing=2x2", "interpolation=3"], "give either interpolation= or mixing=, not both"),
        (["styled", "crossover=2"], "crossover=2 belongs to a table of mixed styles"),
        (["styled", "mixing=2x2", "--out", "folder"], "mixing makes one table; give FILE.png"),
        (["styled", "--out", "a.jpg"], "--out a.jpg: expected FILE.png, FILE.webp, or a folder"),
        (["styled", "--out", "a.webp"], "an animation needs interpolation=STEPS"),
        (["styled", "--out", "no/a.png"], "there is no folder no; make it first"),
        (["styled", "--out", "my_generators.py/x"], "--out my_generators.py/x: cannot be made: Not a directory"),
    ],
)
def test_impossible_requests_are_reported_and_nothing_is_written(arguments, message, make, place):
    before = {path.name for path in place.iterdir()} | {"__pycache__"}
    code, told, error = make(*arguments, "--force")
    assert (code, told) == (2, "")
    assert message in error
    assert {path.name for path in place.iterdir()} <= before


def test_a_generator_of_a_package_that_is_not_trusted_is_not_built(make):
    code, _, error = make("styled", "--out", "new.png", trusting="another")
    assert code == 2
    assert "--trust my_generators" in error


def test_a_missing_model_and_image_options_for_texts_are_reported(make, place):
    run = bare_run(place, "young")
    assert make("young", "num_images=3") == (2, "", "aigc generate: run young has no model yet: let it finish.\n")
    run.model.mkdir()
    (run.model / "config.json").write_text('{"model_type": "gpt2"}')
    code, _, message = make("young", "--out", "a.png")
    assert (code, "--out a.png" in message, ".jsonl" in message) == (2, True, True)


def test_help_lists_the_keys_of_images_beside_those_of_texts():
    shown = parser().format_help()
    texts, images = shown.split("keys of images")
    assert "  temperature [1.0]\n" in texts
    keys = ("num_images", "seed", "labels", "truncation", "interpolation", "mixing", "crossover")
    assert all(f"  {key} [" in images for key in keys)
    assert "Seed of the first image" in images
