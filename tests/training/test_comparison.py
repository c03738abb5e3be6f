"""Generation at validations: several texts for each prompt, and those of the base model beside them."""

import json
from functools import partial

import pytest
import torch

from aigc.config import ConfigError
from aigc.errors import InputError
from aigc.evaluation import TextGeneration
from aigc.generation.sampling import Sampling
from aigc.generation.texts import generate_texts
from aigc.metrics import text as text_metrics
from aigc.models import TransformersCausalLM
from aigc.tasks import CausalLM
from tests.training.evaluations import BLEU, TEXTS, fit, language_run
from tests.training.helpers import text_data, tiny_model

SAMPLED = Sampling(max_new_tokens=4, num_samples=3, seed=5)
OFTEN = {"check_val_every_n_epoch": None, "val_check_interval": 2}
GREEDY = Sampling(temperature=0.0, max_new_tokens=4)


def rows(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_all_texts_of_a_prompt_are_measured_and_saved(tmp_path):
    task, data = language_run(tmp_path)
    evaluation = TextGeneration({"bleu": BLEU}, sampling=SAMPLED).bind("evaluation.generation")
    fit(tmp_path, task, data, evaluation)
    saved = rows(tmp_path / "samples/step-000001.jsonl")
    pairs = evaluation.pairs(data.heldout, data)
    assert [row["prompt"] for row in saved] == [pair.given.text for pair in pairs for _ in range(3)]
    assert len({row["output"] for row in saved[:3]} | {row["output"] for row in saved[3:]}) > 1
    whole = text_metrics.BLEU()
    whole.update([row["output"] for row in saved], [row["reference"] for row in saved])
    assert task.latest["val/bleu"] == pytest.approx(float(whole.compute()["bleu"]))


def test_several_texts_from_a_certain_choice_are_refused_with_their_key():
    certain = Sampling(temperature=0.0, num_samples=2)
    with pytest.raises(ConfigError, match=r"evaluation\.mine\.sampling\.num_samples"):
        TextGeneration({}, sampling=certain).bind("evaluation.mine")


def compared(folder, **settings):
    evaluation = TextGeneration({"bleu": BLEU}, compare_with_base=True, **{"sampling": GREEDY} | settings)
    return evaluation.bind("evaluation.generation")


def test_the_sheet_holds_what_the_model_wrote_before_its_first_step(tmp_path):
    task, data = language_run(tmp_path)
    texts = generate_texts(
        task.model, data.tokenizer, [p.given for p in compared(tmp_path).pairs(data.heldout, data)], GREEDY
    )
    fit(tmp_path, task, data, compared(tmp_path), max_steps=4, **OFTEN)
    sheet, saved = rows(tmp_path / "samples/comparison.jsonl"), rows(tmp_path / "samples/step-000004.jsonl")
    assert [row["base"] for row in sheet] == texts
    assert [row["tuned"] for row in sheet] == [[row["output"]] for row in saved]
    assert [row["step"] for row in sheet] == [4] * len(sheet)
    assert any(row["base"] != row["tuned"] for row in sheet)
    page = (tmp_path / "samples/comparison.md").read_text("utf-8")
    assert "| bleu |" in page
    assert all(f"    {text}" in page for row in sheet for text in (row["prompt"], row["reference"]) if text)


def test_training_is_the_same_with_and_without_a_comparison(tmp_path):
    found = []
    for name, wanted in (("with", True), ("without", False)):
        torch.manual_seed(3)
        data = text_data(tmp_path / name, TEXTS)
        task = CausalLM(tiny_model(data), partial(torch.optim.SGD, lr=0.1))
        evaluation = TextGeneration({"bleu": BLEU}, sampling=SAMPLED, compare_with_base=wanted)
        fit(tmp_path / name, task, data, evaluation.bind("evaluation.generation"), max_steps=3)
        found.append((task.state_dict(), torch.rand(2), task.latest["val/bleu"]))
    (one, drawn, bleu), (other, again, same) = found
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(drawn, again)
    assert bleu == same
    assert not (tmp_path / "without/samples/comparison.md").exists()


def test_a_resumed_run_keeps_what_the_base_model_wrote(tmp_path):
    task, data = language_run(tmp_path)
    first, resumed = compared(tmp_path), compared(tmp_path)
    made = fit(tmp_path, task, data, first, max_steps=2, **OFTEN)
    made.save_checkpoint(tmp_path / "last.ckpt")
    before = rows(tmp_path / "samples/comparison.jsonl")
    states = torch.load(tmp_path / "last.ckpt", weights_only=True)["callbacks"]
    resumed.load_state_dict(states[resumed.state_key])
    fit(tmp_path / "other", task, data, resumed, max_steps=2, **OFTEN)  # from weights that are not those of the base
    after = rows(tmp_path / "other/samples/comparison.jsonl")
    assert [row["base"] for row in after] == [row["base"] for row in before]
    assert [row["tuned"] for row in after] != [row["base"] for row in after]


def test_a_run_that_was_begun_without_a_comparison_says_so(tmp_path, caplog):
    task, data = language_run(tmp_path)
    evaluation = TextGeneration({}, sampling=GREEDY).bind("evaluation.generation")
    made = fit(tmp_path, task, data, evaluation, max_steps=2, **OFTEN)
    evaluation.compare_with_base = True
    made.fit_loop.epoch_loop.max_steps = 4
    made.fit(task, datamodule=data)
    assert task.steps_done == 4
    assert "evaluation.generation: nothing was generated before the first step" in caplog.text
    assert not (tmp_path / "samples/comparison.md").exists()


@pytest.mark.parametrize(("kind", "fits"), [("LoRA", True), ("PromptTuning", False)])
def test_the_base_of_an_adapter_is_the_model_without_it(kind, fits, tmp_path):
    data = text_data(tmp_path, TEXTS, packing=False, sequence_length=24)
    torch.manual_seed(0)
    TransformersCausalLM("gpt2", settings={"n_layer": 1, "n_head": 2, "n_embd": 16, "n_positions": 32}).create(
        data
    ).save_pretrained(tmp_path / "base")
    node = {"_target_": f"aigc.models.adapters.{kind}"} | ({} if fits else {"num_virtual_tokens": 2})
    task = CausalLM(
        TransformersCausalLM(path=str(tmp_path / "base"), adapter=node).create(data), partial(torch.optim.SGD, lr=9.0)
    )
    evaluation = compared(tmp_path)
    if not fits:
        with pytest.raises(InputError, match=r"evaluation\.generation\.compare_with_base: .*PromptTuning"):
            fit(tmp_path, task, data, evaluation)
        return
    base = TransformersCausalLM(path=str(tmp_path / "base")).create(data)
    prompts = [pair.given for pair in evaluation.pairs(data.heldout, data)]
    fit(tmp_path, task, data, evaluation, max_steps=2, **OFTEN)
    sheet = rows(tmp_path / "samples/comparison.jsonl")
    assert [row["base"] for row in sheet] == generate_texts(base, data.tokenizer, prompts, GREEDY)
