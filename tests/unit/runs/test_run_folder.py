import re
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from aigc.errors import InputError
from aigc.runs import Run, folder, list_runs, reserve
from aigc.runs.metrics_writer import MetricsFile
from aigc.runs.status import Status, write_status

CONFIG = "seed: 1\nmodel:\n  lr: 0.1\n  token: ${oc.env:HF_TOKEN,none}\n"
CREATE = """
import sys
from aigc.runs import Run, reserve
reserve.secrets.token_hex = lambda size, numbers=iter(range(100)): f"{next(numbers):04x}"
print(Run.create(sys.argv[1], "lm/tiny", "seed: 1").path)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AIGC_OUTPUTS", raising=False)
    return tmp_path / "outputs" / "runs"


def create(root: Path, name: str = "lm/tiny") -> Run:
    return Run.create(root, name, CONFIG, overrides=["model.lr=0.1", "+hf_token=x1"], command=["aigc", "train"], seed=1)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rename(run: Run, name: str) -> Run:
    return Run(run.path.rename(run.path.with_name(name)))


def test_created_folder_holds_all_a_run_needs(root: Path) -> None:
    run = create(root)
    assert re.fullmatch(r"lm-tiny-\d{8}-\d{6}-[0-9a-f]{4}", run.id)
    assert names(run.path) == ["config.yaml", "manifest.json", "overrides.txt", "status.json"]
    assert names(root) == [run.id]
    assert (run.path / "config.yaml").read_text() == CONFIG
    assert (run.path / "overrides.txt").read_text() == "model.lr=0.1\n+hf_token=<redacted>\n"
    assert run.config.model.lr == 0.1
    assert (run.manifest["run_id"], run.manifest["seed"], run.status) == (run.id, 1, "pending")


def test_uncommitted_code_is_kept(root: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "init"], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "mine.py").write_text("x = 1\n")
    for _ in range(2):  # the folder of the first run is no change to the code
        assert (create(root).path / "code.patch").read_text() == "# untracked: mine.py\n"
    (tmp_path / "mine.py").unlink()
    run = create(root)
    assert not (run.path / "code.patch").exists()
    assert run.manifest["git"]["working_directory"]["dirty"] is False


@pytest.mark.slow
def test_processes_that_create_at_once_get_folders_of_their_own(root: Path) -> None:
    """Every process draws the same four digits in the same order, so all eight meet at the same names."""
    command = [sys.executable, "-c", CREATE, str(root)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    paths = [child.communicate()[0].strip() for child in children]
    assert len(set(paths)) == 8
    assert names(root) == sorted(Path(path).name for path in paths)
    assert len({Run(path).manifest["run_id"] for path in paths}) == 8


def test_id_that_is_taken_is_not_taken_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Noon(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Noon":
            return cls(2026, 1, 2, 12, 0, 0)

    digits = iter(["aaaa", "aaaa", "bbbb"])
    monkeypatch.setattr(reserve, "datetime", Noon)
    monkeypatch.setattr(reserve.secrets, "token_hex", lambda size: next(digits) if size == 2 else "0")
    assert [create(root).id for _ in range(2)] == ["lm-tiny-20260102-120000-aaaa", "lm-tiny-20260102-120000-bbbb"]
    assert len(names(root)) == 2


def test_half_made_folder_is_never_left(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        assert len(list(root.glob(".*.partial"))) == 1
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "write_status", fail)
    with pytest.raises(InputError, match=f"{re.escape(str(root))}: No space left"):
        create(root)
    assert names(root) == []


@pytest.mark.parametrize("where", ["file/runs", "/proc/runs"])
def test_root_that_cannot_be_made_is_named(root: Path, tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=re.escape(where) + ": .+AIGC_OUTPUTS"):
        Run.create(Path(where), "a", CONFIG)


@pytest.mark.parametrize(
    ("name", "start"), [("诗/五言 绝句", "诗-五言-绝句-"), ("../../etc", "etc-"), (".hidden", "hidden-")]
)
def test_name_becomes_a_plain_folder_name(root: Path, name: str, start: str) -> None:
    run = create(root, name)
    assert run.id.startswith(start)
    assert run.path.parent == root


@pytest.mark.parametrize("name", ["", "///", "诗" * 100])
def test_name_that_cannot_be_a_folder_is_refused(root: Path, name: str) -> None:
    with pytest.raises(InputError, match="is not a valid run name"):
        create(root, name)


def test_open_by_id_prefix_path_and_latest(root: Path) -> None:
    first = create(root, "lm/tiny")
    second = create(root, "gan/tiny")
    last = rename(create(root, "a/first"), "a-first-19990101-000000-abcd")  # the manifest's time counts, not the name's
    for name in (first.id, "lm", f"./outputs/runs/{first.id}", first.path):
        assert Run.open(name).path.resolve() == first.path
    assert Run.open(Path("outputs/runs") / second.id, root).path.resolve() == second.path
    assert Run.open("latest").path.resolve() == last.path
    assert [run.id for run in list_runs()] == [last.id, second.id, first.id]


def test_outputs_folder_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIGC_OUTPUTS", str(tmp_path / "else"))
    run = create(tmp_path / "else" / "runs")
    assert Run.open("latest").path == run.path


def test_id_wins_over_longer_ids_that_begin_with_it(root: Path) -> None:
    short = rename(create(root), "lm-tiny-20260101-000000-aaaa")
    rename(create(root), "lm-tiny-20260101-000000-aaaa-20260101-000000-bbbb")
    assert Run.open(short.id).id == short.id


def test_ambiguous_prefix_lists_the_matches(root: Path) -> None:
    ids = sorted(create(root).id for _ in range(2))
    with pytest.raises(InputError, match=f"2 runs: {ids[0]}, {ids[1]}"):
        Run.open("lm-tiny")


def test_unknown_run_names_the_nearest(root: Path) -> None:
    run = create(root, "lm/chinese_poems")
    create(root, "gan/digits")
    for typed in ("lm-chinese_poem-", "lm-chinse_poems", run.id[:-1] + "x"):
        with pytest.raises(InputError, match=f"Nearest: {run.id}.*aigc ls"):
            Run.open(typed)


@pytest.mark.parametrize("name", ["latest", "lm-tiny"])
def test_no_runs_yet(root: Path, name: str) -> None:
    with pytest.raises(InputError, match="aigc train"):
        Run.open(name)


def test_folder_that_is_no_run_says_so(root: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for name in ("./notes", "notes", tmp_path / "notes"):
        with pytest.raises(
            InputError, match=r"notes is not a run folder: it has no manifest\.json and no config\.yaml"
        ):
            Run.open(name)
    with pytest.raises(InputError, match="there is no run folder"):
        Run.open("./missing")


def test_damaged_run_is_never_the_latest(root: Path) -> None:
    good, damaged = create(root), create(root)
    (damaged.path / "manifest.json").write_text("{")
    assert Run.open("latest").id == good.id
    assert {run.id for run in list_runs()} == {good.id, damaged.id}


def test_the_manifest_is_a_mapping_and_its_record_has_named_fields(root: Path) -> None:
    run = create(root)
    with run.edit_manifest() as manifest:
        manifest.metrics["a"] = 1.0
        manifest.seed = 5
    assert (run.manifest["metrics"], run.manifest["seed"]) == ({"a": 1.0}, 5)
    assert run.record == manifest


def test_metrics_frame(root: Path) -> None:
    run = create(root)
    assert list(run.metrics().columns) == ["step", "epoch", "wall_time"]
    with MetricsFile(run.path / "metrics.jsonl") as file:
        file.append(1, 0, {"loss": 2.0})
        file.append(2, 0, {"val/bleu": float("inf")})
    frame = run.metrics()
    assert list(frame.columns) == ["step", "epoch", "wall_time", "loss", "val/bleu"]
    assert frame["step"].tolist() == [1, 2]
    assert pd.isna(frame["loss"][1])
    assert frame["val/bleu"][1] == float("inf")


def test_status_follows_the_file(root: Path) -> None:
    run = create(root)
    write_status(run.path, Status.RUNNING, step=3)
    assert run.status is Status.RUNNING
    write_status(run.path, Status.FINISHED)
    assert run.status is Status.FINISHED


def test_damaged_config_is_named(root: Path) -> None:
    run = create(root)
    (run.path / "config.yaml").write_text("a: [")
    with pytest.raises(InputError, match=r"config\.yaml cannot be read"):
        _ = run.config


def test_run_without_a_model_says_so(root: Path) -> None:
    run = create(root)
    with pytest.raises(InputError, match="has no model yet"):
        run.load_model()


@pytest.mark.slow
def test_model_loads_with_its_tokenizer(root: Path) -> None:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    run = create(root)
    run.model.mkdir()
    (run.model / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"/model holds no model .*aigc verify"):
        run.load_model()
    shutil.rmtree(run.model)
    torch.manual_seed(0)
    original = GPT2LMHeadModel(GPT2Config(vocab_size=8, n_positions=8, n_embd=8, n_layer=1, n_head=1)).eval()
    original.save_pretrained(run.model)
    plain = Tokenizer(models.WordLevel({"<unk>": 0, "诗": 1, "月": 2}, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="<unk>").save_pretrained(run.model)
    model, tokenizer = run.load_model()
    ids = torch.tensor([tokenizer("诗 月 诗")["input_ids"]])
    assert ids.tolist() == [[1, 2, 1]]
    assert torch.equal(model(ids).logits, original(ids).logits)


def test_importing_stays_light() -> None:
    code = "import aigc.runs, aigc.runs.table, sys; print({'torch', 'pandas', 'omegaconf'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
