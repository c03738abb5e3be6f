"""The results of one real run, and the other verbs applied to it."""

import json
import re
import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from aigc.runs import Run
from aigc.runs.files import sha256_file
from tests.cli.conftest import SMALL
from tests.launch.forking import run_aigc

pytestmark = pytest.mark.slow


@pytest.fixture
def at_run(trained, cache):
    """Run `aigc VERB ...` in the folder of the trained run."""
    place = trained.path.parent.parent.parent
    own = {"AIGC_OUTPUTS": str(trained.path.parent.parent), "AIGC_CACHE": str(cache)}
    return lambda *arguments, stdin="": run_aigc(arguments, place, stdin, **own)


def test_the_folder_holds_what_the_design_lists(trained):
    names = {path.name for path in trained.path.iterdir() if not path.name.startswith(".")}
    expected = {"config.yaml", "overrides.txt", "manifest.json", "status.json", "metrics.jsonl", "checkpoints"}
    expected |= {"samples", "model", "log.txt", "tensorboard"}
    assert expected <= names <= expected | {"code.patch"}
    assert trained.status == "finished"
    typed = ["debug=limit", "trainer.num_threads=2", *SMALL]
    assert (trained.path / "overrides.txt").read_text() == "".join(f"{override}\n" for override in typed)


def test_the_manifest_records_how_the_run_was_made(trained):
    manifest = trained.manifest
    (attempt,) = manifest["attempts"]
    assert (attempt["exit_code"], attempt["status"], attempt["to_step"]) == (0, "finished", 20)
    assert len(manifest["data_fingerprint"]) == 64
    assert manifest["packages"]["torch"] == torch.__version__.split("+")[0]
    assert manifest["precision"] in ("bf16-mixed", "32-true")
    assert {"val/perplexity", "val/bits_per_byte", "val/bleu", "val/rougeL", "val/chrf"} <= set(manifest["metrics"])
    assert {"val/distinct_1", "val/form_accuracy"} <= set(manifest["metrics"])
    made = {name for name in manifest["metrics"] if name.startswith("val/")}
    assert set(manifest["signatures"]) == made, "each score says how it was made"
    assert "tok:zh" in manifest["signatures"]["val/bleu"]
    for name, digest in manifest["artifacts"].items():
        assert sha256_file(trained.path / name) == digest
    assert {"model/model.safetensors", "model/tokenizer.json", "checkpoints/last.ckpt"} <= set(manifest["artifacts"])


def test_scores_and_their_signatures_are_in_one_row(trained):
    rows = [json.loads(line) for line in (trained.path / "metrics.jsonl").read_text("utf-8").splitlines()]
    measured = [row for row in rows if "val/bleu" in row or "val/perplexity" in row]
    assert len(measured) == 2
    for row in measured:
        assert set(row["signatures"]) == {name for name in row if name.startswith("val/")}


def test_metrics_have_one_row_per_logged_step(trained):
    lines = (trained.path / "metrics.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 21))
    frame = trained.metrics()
    assert sorted(frame["step"][frame["train/loss"].notna()]) == list(range(1, 21))
    assert sorted(frame["step"][frame["val/perplexity"].notna()]) == [10, 20]


def test_samples_hold_prompt_output_and_reference(trained):
    rows = [json.loads(line) for line in (trained.samples / "step-000020.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 8
    assert all(set(row) == {"prompt", "output", "reference", "text"} for row in rows)
    assert all(row["text"] == row["prompt"] + row["output"] for row in rows), "of a poem a part is given"
    assert all(len(row["prompt"]) == 12 and len(row["reference"]) == 12 for row in rows)
    assert not any("<|" in row["output"] for row in rows)


def test_no_log_holds_an_address(trained):
    assert "http" not in trained.log.read_text("utf-8")


def test_the_table_has_scores_time_throughput_and_paths(trained):
    shown = (trained.path / ".stdout").read_text("utf-8")
    for what in ("perplexity per token", "BLEU", "well-formed, %", "time", "tokens per second", str(trained.model)):
        assert what in shown
    assert f"aigc show {trained.id}" in shown
    assert not any(signature in shown for signature in trained.record.signatures.values())


def test_transformers_loads_the_model_and_gives_the_same_logits(trained):
    model = AutoModelForCausalLM.from_pretrained(trained.model).eval()
    tokenizer = AutoTokenizer.from_pretrained(trained.model)
    ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer("春眠不覺曉，", add_special_tokens=False)["input_ids"]]])
    best = torch.load(trained.checkpoints / "best.ckpt", weights_only=True)["state_dict"]
    state = {name.removeprefix("model."): value for name, value in best.items()}
    own = AutoModelForCausalLM.from_config(model.config)
    own.load_state_dict(state)
    with torch.no_grad():
        assert torch.equal(model(ids).logits, own.eval()(ids).logits)
    loaded, _ = trained.load_model()
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, model(ids).logits)


def test_eval_gives_the_numbers_of_training_to_the_last_digit(at_run, trained):
    done = at_run("eval", "latest", "--json")
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)["metrics"]
    expected = {name: value for name, value in trained.manifest["metrics"].items() if name.startswith("val/")}
    assert metrics == expected
    assert json.loads((trained.path / "evaluations.jsonl").read_text("utf-8").splitlines()[-1])["metrics"] == metrics


def test_eval_takes_a_run_of_a_version_with_other_keys(at_run, trained, tmp_path):
    older = tmp_path / "older"
    shutil.copytree(trained.path, older)
    lines = (older / "config.yaml").read_text("utf-8").splitlines()
    kept = [line for line in lines if "limit_eval" not in line and "patience" not in line]
    kept[kept.index("trainer:")] += "\n  overfit_batches: 0"
    (older / "config.yaml").write_text("\n".join(kept) + "\n", "utf-8")
    done = at_run("eval", str(older), "--json")
    assert done.returncode == 0, done.stderr
    unlimited = at_run("eval", trained.id, "--json", "trainer.limit_evaluation_samples=null")
    assert json.loads(done.stdout)["metrics"] == json.loads(unlimited.stdout)["metrics"]


def test_eval_of_a_file_reads_no_training_text(at_run, trained):
    place = trained.path.parents[2]
    held_out = [json.loads(line)["reference"] for line in next(trained.samples.glob("*.jsonl")).open(encoding="utf-8")]
    rows = [f"{text}\n" for text in ["poem", *(f"{text}{text}" for text in held_out)]]
    try:
        (place / "few.tsv").write_text("".join(rows[:21]), "utf-8")
        done = at_run("eval", trained.id, "data.path=nowhere.tsv", "data.validation_path=few.tsv", "--json")
        assert done.returncode == 0, done.stderr
        assert "train" not in done.stderr
        assert json.loads(done.stdout)["metrics"]["val/perplexity"] > 1
        part = at_run("eval", trained.id, "data.path=few.tsv", "data.validation_fraction=0.5", "--json")
        assert part.returncode == 0, "a part of 20 rows suffices, as nothing is trained\n" + part.stderr
    finally:
        (place / "few.tsv").unlink()


def test_eval_measures_on_other_data(at_run, trained):
    done = at_run("eval", trained.id, "data=couplets", "evaluation.generation.samples=4")
    assert done.returncode == 0, done.stderr
    assert "perplexity per token" in done.stdout


def test_generate_writes_texts_as_text_and_as_json(at_run):
    done = at_run("generate", "latest", "prompt=床前明月光，", "num_samples=2", "max_new_tokens=5", "seed=3", "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["prompt"] for row in rows] == ["床前明月光，"] * 2
    again = at_run("generate", "latest", "prompt=床前明月光，", "num_samples=2", "max_new_tokens=5", "seed=3")
    assert again.stdout.splitlines() == [row["prompt"] + row["text"] for row in rows]


def test_generate_reads_prompts_from_stdin_or_a_file_one_a_line(at_run, tmp_path):
    piped = at_run("generate", "latest", "temperature=0", "max_new_tokens=3", stdin="春\n夏\n")
    assert [line[0] for line in piped.stdout.splitlines()] == ["春", "夏"], piped.stderr
    (tmp_path / "提示.txt").write_text("春\n夏\n", encoding="utf-8")
    filed = at_run("generate", "latest", "temperature=0", "max_new_tokens=3", "--prompts", str(tmp_path / "提示.txt"))
    assert filed.stdout == piped.stdout


def test_generate_without_a_prompt_is_unconditional(at_run):
    done = at_run("generate", "latest", "num_samples=2", "max_new_tokens=4")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_generate_cuts_at_a_text_and_prints_the_completion_alone(at_run):
    given = ["generate", "latest", "prompt=床前明月光，", "temperature=0", "max_new_tokens=9"]
    whole = at_run(*given, "completion_only=true").stdout.rstrip("\n")
    assert at_run(*given).stdout == f"床前明月光，{whole}\n"
    cut = at_run(*given, f"stop={whole[4]}", "completion_only=true").stdout.rstrip("\n")
    assert cut == whole[: whole.index(whole[4])]
    several = at_run(*given, f'stop=["{whole[6]}", "{whole[2]}"]', "--json")
    assert json.loads(several.stdout)["text"] == whole[: min(whole.index(whole[6]), whole.index(whole[2]))]


def test_generate_writes_a_file_of_texts(at_run, trained):
    given = ["generate", "latest", "prompt=春", "num_samples=2", "max_new_tokens=4", "--out"]
    shown = at_run(*given[:-1], "--json").stdout
    place = trained.path.parents[2]
    try:
        done = at_run(*given, "texts.jsonl")
        assert (done.returncode, done.stdout) == (0, "texts.jsonl\n"), done.stderr
        assert (place / "texts.jsonl").read_text("utf-8") == shown
        again = at_run(*given, "texts.jsonl", "--force", "--json")
        assert json.loads(again.stdout) == {"file": "texts.jsonl", "texts": 2}
        at_run(*given, "texts.txt")
        rows = [json.loads(line) for line in shown.splitlines()]
        assert (place / "texts.txt").read_text("utf-8").splitlines() == [row["prompt"] + row["text"] for row in rows]
        for out, message in {"texts.txt": "--force", "texts.csv": ".jsonl", "no/a.txt": "no folder no"}.items():
            refused = at_run(*given, out)
            assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr
    finally:
        for file in place.glob("texts.*"):
            file.unlink()


def test_generate_warns_of_characters_that_the_model_does_not_know(at_run):
    done = at_run("generate", "latest", "prompt=欢迎飞龙，门车东风。", "max_new_tokens=2", "num_samples=1")
    assert done.returncode == 0
    (told,) = [line for line in done.stderr.splitlines() if "unknown" in line]
    assert re.search(r"\d of 10 characters of the prompt", told)
    assert "traditional" in told
    assert "unknown" not in at_run("generate", "latest", "prompt=床前明月光，", "max_new_tokens=2").stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["latest", "stop="], "stop"),
        (["latest", "prompt=\udcd6\udcd0"], "UTF-8"),
        (["latest", "temprature=1"], "temprature (command line: temprature=1): no such key; did you mean temperature?"),
        (["latest", "temperature=-1"], "-1 is not a number of at least 0"),
        (["latest", "prompt=" + "春" * 300], "context is 208"),
        (["latest", "--prompts", "nowhere.txt"], "nowhere.txt: "),
        (["lm-nothing"], "there is no run 'lm-nothing'"),
        (["latest", "top_p=["], "'[' is not a number"),
    ],
)
def test_generate_reports_what_is_wrong(at_run, arguments, message):
    done = at_run("generate", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_ls_and_show_describe_the_run(at_run, trained):
    listed = at_run("ls")
    assert trained.id in listed.stdout
    assert "finished" in listed.stdout
    assert json.loads(at_run("ls", "--json").stdout)["id"] == trained.id
    shown = at_run("show", trained.id[:-2])
    assert "tok:zh" in shown.stdout
    assert json.loads(at_run("show", "latest", "--json").stdout)["status"] == "finished"
    assert "max_steps: 20" in at_run("show", "latest", "--config").stdout


def test_a_run_is_opened_by_python(trained):
    run = Run.open(trained.path)
    assert run.config.trainer.max_steps == 20
    model, tokenizer = run.load_model()
    assert model.config.vocab_size == len(tokenizer)
