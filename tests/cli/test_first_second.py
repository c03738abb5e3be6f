"""What `aigc train` and others say before torch is imported."""

import io
import sys

import pytest

from aigc.cli.main import main
from aigc.cli.parts.first_line import print_first_line
from aigc.launch.start import check_place
from aigc.runs import Run
from aigc.runs.environment import available_cores
from tests.conftest import write
from tests.importing import imported

TAKEN = ["train", "run.id=taken"]
SMALL = ["train", "model=pretrained", "model.path=./small"]
REFUSED = {
    "trainer.devices": ["train", "trainer.accelerator=cpu", f"trainer.devices={(available_cores() or 1) + 1}"],
    "data.path": ["train", "data=text", "data.path=nowhere/poems.txt"],
    "data.validation_path": ["train", "data=text", "data.path=poems.txt", "data.validation_path=poems.docx"],
    "data.path (command line: data.path=)": ["train", "data=text", "data.path="],
    "data.path (command line: data.path=bare)": ["train", "data=text", "data.path=bare"],
    "data.path (command line: data.path=zero.txt)": ["train", "data=text", "data.path=zero.txt"],
    "data.validation_path (command line: data.validation_path=)": ["train", "data.validation_path="],
    "data.path (command line: data.path='')": ["train", "experiment=gan/images", "data.path=''"],
    "data.path (command line: data.path=./bare)": ["train", "experiment=gan/images", "data.path=./bare"],
    "model.path": ["train", "model=pretrained", "model.path=./smol"],
    "model.path (command line: model.path=hollow)": ["train", "model=pretrained", "model.path=hollow"],
    "data.sequence_length (command line: data.sequence_length=65)": [*SMALL, "data.sequence_length=65"],
    "data.sequence_length (command line: data.sequence_length=9)": [
        "train",
        "model.settings.n_positions=8",
        "data.sequence_length=9",
    ],
    "run.id": TAKEN,
    "paths.outputs": ["train", "paths.outputs=poems.txt"],
}
IMAGES = ["train", "experiment=gan/images", "data.path=./faces"]


@pytest.fixture
def place(own_place):
    write(own_place / "poems.txt", "春\n")
    write(own_place / "poems.docx", "春\n")
    write(own_place / "zero.txt", "")
    write(own_place / "bare/.cache/poems.txt", "春\n")
    write(own_place / "bare/read.me", "春\n")
    for name in ("small", "hollow"):
        write(own_place / name / "config.json", '{"model_type": "gpt2", "n_positions": 64}')
    write(own_place / "small/model.safetensors", "")
    Run.create(own_place / "outputs/runs", "one", "seed: 0\n", run_id="taken")
    return own_place


@pytest.mark.parametrize("arguments", [*REFUSED.values(), IMAGES], ids=[*REFUSED, "images"])
def test_what_is_missing_or_taken_is_refused_before_torch_is_imported(arguments, place, capsys):
    key = next((key for key, known in REFUSED.items() if known is arguments), "data.path")
    before = sorted(path.name for path in place.rglob("*"))
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert key in told
    assert "loading PyTorch" not in told
    assert sorted(path.name for path in place.rglob("*")) == before


def test_a_sweep_of_more_ranks_than_cores_leaves_no_folder(place, capsys):
    devices = f"trainer.devices={(available_cores() or 1) + 1}"
    assert main(["sweep", "trainer.accelerator=cpu", devices, "seed=0,1"]) == 2
    assert "trainer.devices" in capsys.readouterr().err
    assert not (place / "outputs/sweeps").exists()


@pytest.mark.slow
def test_none_of_this_imports_torch(place):
    commands = [*REFUSED.values(), IMAGES]
    codes = [f"from aigc.cli.main import main\nassert main({arguments!r}) == 2" for arguments in commands]
    env = {"AIGC_OUTPUTS": str(place / "outputs")}
    first = ["aigc.cli.main", "aigc.config.compose", "hydra"]
    assert imported(codes, ["torch", "transformers", "datasets"], first, place, env) == [[]] * len(commands)


def test_what_may_be_on_the_hub_or_is_a_pattern_is_left_to_the_reader(place):
    from aigc.data.text.sources import check_path
    from aigc.models.pretrained import check_weights

    for path in ("poems", "owner/poems", "hub:owner/poems", "texts/a/b/*.txt", "asset:couplets.jsonl.gz", "."):
        if not path.startswith("asset"):
            check_path(path)
    for path in ("gpt2", "owner/model"):
        check_weights(path)


def test_a_taken_id_is_no_error_where_the_run_is_resumed(place):
    from aigc.config import compose

    check_place(compose(["run.id=taken", "run.resume=auto"]))


@pytest.mark.slow
def test_the_first_line_names_experiment_and_steps(aigc):
    done = aigc("train", "debug=fast", "evaluation=null", "trainer.max_steps=3", "run.id=one")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("aigc: lm/tang_quatrains, 3 steps; loading PyTorch ...\n")
    assert aigc("resume", "one", "trainer.max_steps=4").stderr.startswith("aigc: resuming one, 4 steps; ")


def test_a_closed_stderr_gets_no_line_on_stdout(monkeypatch):
    stdout = io.StringIO()
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "stdout", stdout)
    print_first_line("x")
    assert stdout.getvalue() == ""


@pytest.mark.parametrize("typed", ["trian", "resum", "scoer"])
def test_a_mistyped_verb_is_answered_with_the_nearest(typed, capsys):
    assert main([typed, "seed=1"]) == 2
    nearest = {"trian": "train", "resum": "resume", "scoer": "score"}[typed]
    assert f"did you mean {nearest}?" in capsys.readouterr().err
