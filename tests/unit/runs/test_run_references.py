"""`run:RUN` in a config: what it is settled to, and the model that it names."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from aigc.errors import InputError
from aigc.models.pretrained import check_weights, local_folder
from aigc.runs import Run
from aigc.runs.references import model_folder, settle_runs, settle_typed, settled
from aigc.runs.status import Status, write_status


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AIGC_OUTPUTS", raising=False)
    return tmp_path / "outputs" / "runs"


def finished(root: Path, name: str = "lm/tiny", status: Status = Status.FINISHED) -> Run:
    run = Run.create(root, name, "seed: 1\n", command=["aigc", "train"])
    run.model.mkdir()
    (run.model / "config.json").write_text("{}")
    (run.model / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    write_status(run.path, status)
    return run


def test_a_reference_is_settled_to_the_whole_path(root: Path) -> None:
    first, second = finished(root, "lm/one"), finished(root, "lm/two")
    assert settled("run:latest") == settled("run:lm-two") == f"run:{second.path}"
    assert settled(f"run:{first.id}") == settled(f"run:{first.path}") == f"run:{first.path}"
    assert settled(settled("run:lm-one")) == f"run:{first.path}"
    for wrong in ("run:", "run:lm", "run:nothing"):
        with pytest.raises(InputError):
            settled(wrong)


def test_typed_references_are_settled_whatever_the_override(root: Path) -> None:
    first, second = finished(root, "lm/one"), finished(root, "lm/two")
    typed = ["model.path=run:lm-one", "+model.path=run:lm-one,run:latest", "data.tokenizer.path='run:latest'"]
    assert settle_typed(typed) == [
        f"model.path=run:{first.path}",
        f"+model.path=run:{first.path},run:{second.path}",
        f"data.tokenizer.path='run:{second.path}'",
    ]
    others = ["model.path=folder/run:x", "prompt=run:away", "data.path=asset:a.tsv"]
    assert settle_typed(others) == others
    with pytest.raises(InputError, match=r"^model\.path: "):
        settle_typed(["model.path=run:nothing"])
    elsewhere = finished(root.parents[1] / "other/runs")
    assert settle_typed(["paths.outputs=other", "model.path=run:latest"])[1] == f"model.path=run:{elsewhere.path}"


def test_references_in_a_config_are_settled_in_place(root: Path) -> None:
    run = finished(root)
    cfg = OmegaConf.create({"path": "run:lm-tiny", "nodes": [{"path": "run:latest"}], "same": "${path}", "none": None})
    settle_runs(cfg, root)
    whole = f"run:{run.path}"
    assert OmegaConf.to_container(cfg) == {"path": whole, "nodes": [{"path": whole}], "same": "${path}", "none": None}


def test_the_model_of_a_finished_run_is_a_folder_of_weights(root: Path) -> None:
    run = finished(root)
    assert local_folder("run:latest") == model_folder("run:lm-tiny") == run.model
    check_weights(f"run:{run.id}")


@pytest.mark.parametrize("status", [Status.RUNNING, Status.FAILED, Status.INTERRUPTED])
def test_a_run_that_is_not_finished_is_refused(status: Status, root: Path) -> None:
    run = finished(root, status=status)
    with pytest.raises(InputError, match=f"aigc resume {run.id}"):
        check_weights("run:latest")


def test_a_run_without_its_model_is_refused(root: Path) -> None:
    run = finished(root)
    run.model.rename(run.path / "away")
    with pytest.raises(InputError, match=r"model"):
        check_weights("run:latest")


def test_runs_are_found_after_their_folder_has_moved(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = settled(f"run:{finished(root).id}")
    (tmp_path / "outputs").rename(tmp_path / "moved")
    with pytest.raises(InputError):
        model_folder(before)
    monkeypatch.setenv("AIGC_OUTPUTS", str(tmp_path / "moved"))
    assert model_folder(before) == tmp_path / "moved/runs" / Path(before).name / "model"
