"""Every command and every piece of code in the README runs; the Chinese README has the same ones."""

import json
import os
import random
import re
import shlex
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY, write
from tests.small_models import shrink_models

ENGLISH, CHINESE = REPOSITORY / "README.md", REPOSITORY / "README.zh.md"


def blocks(path, language):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


def without_comments(block):
    lines = [line.split("  #")[0].rstrip() for line in block.splitlines()]
    return [re.sub(r'""".*?"""', '""', line) for line in lines if line and not line.lstrip().startswith("#")]


def commands_of(block):
    lines = [line.split(" # ")[0].strip() for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line]


def commands():
    return [command for block in blocks(ENGLISH, "bash") for command in commands_of(block)]


def own_package(place):
    modules = [code for code in blocks(ENGLISH, "python") if "\nclass " in code]
    for code, name in zip(modules, ("length", "smooth", "gan"), strict=True):
        assert f"`my_package/{name}.py`" in ENGLISH.read_text(encoding="utf-8")
        write(place / f"my_package/{name}.py", code)
    write(place / "my_package/__init__.py", "")


def own_configs(place):
    names = ("data/mine", "model/networks", "experiment/small_gan")
    for text, name in zip(blocks(ENGLISH, "yaml"), names, strict=True):
        assert f"`conf/{name}.yaml`" in ENGLISH.read_text(encoding="utf-8")
        write(place / f"conf/{name}.yaml", text)


def own_corpus(place):
    random.seed(0)
    words = ["the", "a", "cat", "dog", "house", "tree", "walks", "runs", "sees", "big", "small"]
    texts = [" ".join(random.choices(words, k=20)) for _ in range(300)]
    write(place / "mine.jsonl", "".join(json.dumps({"text": text}) + "\n" for text in texts))


def own_images(place):
    """Sixty images of each kind: those that a command of the README compares."""
    from PIL import Image

    chance = random.Random(0)
    for name, most in (("generated", 255), ("real", 200)):
        (place / name).mkdir()
        for number in range(60):
            pixels = bytes(chance.randrange(most) for _ in range(16 * 16 * 3))
            Image.frombytes("RGB", (16, 16), pixels).save(place / name / f"{number}.png")


def example_file(arguments):
    """What `printf` with these arguments writes where the test is."""
    *texts, arrow, name = arguments
    assert arrow == ">"
    subprocess.run(f"{shlex.join(['printf', *texts])} > {shlex.quote(name)}", shell=True, check=True)


@pytest.mark.slow
def test_every_command_and_code_runs_in_the_order_of_the_readme(aigc, own_place):
    shrink_models(own_place)
    own_package(own_place)
    own_configs(own_place)
    own_corpus(own_place)
    own_images(own_place)
    ran, printed = 0, ""
    for language, block in re.findall(r"```(bash|python)\n(.*?)```", ENGLISH.read_text(encoding="utf-8"), re.DOTALL):
        if language == "python":
            if "\nclass " not in block:
                command = [sys.executable, "-c", block]
                done = subprocess.run(command, cwd=own_place, env=os.environ, capture_output=True, text=True)
                assert done.returncode == 0, done.stderr
                printed += done.stdout
            continue
        for program, *arguments in commands_of(block):
            if program == "make":
                continue
            if program == "printf":
                example_file(arguments)
                continue
            assert program == "aigc"
            done = aigc(*arguments)
            assert done.returncode == 0, f"aigc {' '.join(arguments)}\n{done.stderr}"
            ran += 1
    assert ran >= 10
    for expected in ("val/perplexity", "tok:zh", "bits_per_byte"):
        assert expected in printed


def test_the_scores_that_are_shown_are_those_of_the_example_files(aigc, own_place):
    for program, *arguments in commands():
        if program == "printf":
            example_file(arguments)
    printed = aigc("score", "predictions.txt", "references.txt").stdout
    for readme in (ENGLISH, CHINESE):
        shown, _ = re.findall(r"```\n(metric .*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
        assert re.sub(r"version:\S+", "", shown) == re.sub(r"version:\S+", "", printed)


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {arguments[0] for program, *arguments in commands() if program == "make"}
    assert named
    assert named <= targets


def test_the_data_set_of_the_readme_is_right(aigc, own_place):
    own_configs(own_place)
    done = aigc("validate", "data=mine")
    assert done.returncode == 0, done.stderr


def test_the_pyproject_of_the_readme_trusts(aigc, own_place):
    own_package(own_place)
    (text,) = blocks(ENGLISH, "toml")
    write(own_place / "pyproject.toml", text)
    own = "+evaluation.generation.metrics.length._target_=my_package.length.MeanLength"
    done = aigc("validate", own)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("language", ["bash", "python", "yaml", "toml"])
def test_both_readmes_have_the_same_code(language):
    english, chinese = ([without_comments(b) for b in blocks(path, language)] for path in (ENGLISH, CHINESE))
    assert english == chinese


def test_each_readme_links_the_other_at_its_top():
    assert "(README.zh.md)" in ENGLISH.read_text(encoding="utf-8")[:60]
    assert "(README.md)" in CHINESE.read_text(encoding="utf-8")[:60]
