"""Documents that are packed into a row give the logits and the gradient that each gives by itself."""

from functools import partial
from itertools import pairwise

import pytest
import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from aigc.config.problems import ConfigError
from aigc.generation.sampling import Sampling
from aigc.generation.texts import generate_texts
from aigc.models import TransformersCausalLM, attention
from aigc.models.attention import set_attention
from aigc.models.isolation import Boundaries, DenseMask, LayerMasks, Positions, isolates, isolation_of
from aigc.tasks import CausalLM
from aigc.tasks.language.tokens import token_nll
from tests.training.families import FAMILIES, WINDOWED
from tests.training.helpers import text_data

TEXTS = [
    "春眠不覺曉處處聞",
    "夜來風雨聲花落知多少",
    "白日依山盡黃河入海",
    "欲窮千里目更上一層樓",
    "紅豆生南國",
    "春來發幾枝",
]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Rows of several documents."""
    return text_data(tmp_path_factory.mktemp("isolation"), TEXTS * 3, batch_size=2)


def made(data, family, kind="auto", **settings):
    torch.manual_seed(0)
    factory = TransformersCausalLM(architecture=family, settings=FAMILIES[family] | settings, attention=kind)
    return factory.create(data)


def documents(batch):
    """The ids of each document, and where its tokens stand in the batch."""
    for row, segments in enumerate(batch["segment_ids"]):
        for number in segments.unique().tolist():
            where = (segments == number).nonzero().flatten()
            if number:
                yield batch["input_ids"][row, where], (torch.full_like(where, row), where)


def difference(model, batch):
    """The largest difference of the logits of a packed batch from those of its documents, by the network's own call."""
    task = CausalLM(model, partial(torch.optim.SGD, lr=0.1)).eval()
    with torch.no_grad():
        packed = task(batch)
        own = [(model(input_ids=ids[None], use_cache=False).logits[0], where) for ids, where in documents(batch)]
    return max(float((packed[where] - logits).abs().max()) for logits, where in own)


@pytest.mark.parametrize("attention", ["auto", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_logits_are_those_of_separate_documents(family, attention, data):
    model, batch = made(data, family, attention), data.example_rows(3)
    assert batch["segment_ids"].max() > 2
    assert difference(model, batch) < 1e-5
    if attention == "auto":  # a mask for all layers takes their windows away
        model.aigc_isolation = DenseMask() if family in WINDOWED else None
        assert difference(model, batch) > 1e-2


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_gradients_are_those_of_separate_documents(family, data):
    batch, model = data.example_rows(3), made(data, family).eval()
    CausalLM(model, partial(torch.optim.SGD, lr=0.1)).eval().loss(batch).backward()
    packed = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    model.zero_grad()
    for ids, where in documents(batch):
        labels = batch["labels"][where]
        token_nll(model(input_ids=ids[None], use_cache=False).logits[:, :-1], labels[None, 1:]).sum().backward()
    own = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert packed
    for one, other in zip(packed, own, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5 * max(1.0, float(other.abs().max())), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gemma3_text", "mistral"])
def test_flex_attention_keeps_documents_apart(family, data):
    model, batch = made(data, family, "flex"), data.example_rows(3)
    with torch.compiler.set_stance("force_eager"):
        set_attention(model, CPU, "32-true")
        assert model.config._attn_implementation == "flex_attention"
        assert difference(model, batch) < 1e-5


def variable_length(module, query, key, value, attention_mask, scaling=None, sliding_window=None, **given):
    """What a variable-length kernel of flash attention computes, document by document."""
    assert attention_mask is None
    groups, (rows, _, width, _) = query.shape[1] // key.shape[1], query.shape
    bounds = given["cu_seq_lens_q"].tolist() if "cu_seq_lens_q" in given else range(0, rows * width + 1, width)
    q, k, v = (one.transpose(1, 2).flatten(0, 1).transpose(0, 1) for one in (query, key, value))
    k, v = (one.repeat_interleave(groups, 0) for one in (k, v))
    out = torch.empty_like(q)
    for start, end in pairwise(bounds):
        length = end - start
        assert length <= given.get("max_length_q", width)
        seen = torch.ones(length, length, dtype=torch.bool).tril().triu(1 - (sliding_window or length))
        parts = (one[:, start:end] for one in (q, k, v))
        out[:, start:end] = torch.nn.functional.scaled_dot_product_attention(*parts, attn_mask=seen, scale=scaling)
    return out.transpose(0, 1).reshape(rows, width, query.shape[1], -1), None


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3", "gemma3_text", "mistral", "mixtral"])
def test_networks_pass_boundaries_on_to_the_kernels_of_flash_attention(family, data, monkeypatch):
    model, batch = made(data, family), data.example_rows(3)
    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._global_mapping, "flash_attention_2", variable_length)
    task = CausalLM(model, partial(torch.optim.SGD, lr=0.1)).eval()
    with torch.no_grad():
        expected = task(batch)
        model.config._attn_implementation_internal, model.aigc_isolation = "flash_attention_2", Boundaries()
        found = task(batch)
    counts = batch["segment_ids"] > 0
    torch.testing.assert_close(found[counts], expected[counts], atol=1e-5, rtol=1e-5)
    model.eval()
    assert isolates(model, Boundaries())


def test_texts_are_generated_with_plain_attention(data):
    model, sampling = made(data, "llama"), Sampling(temperature=0, max_new_tokens=8)
    expected = generate_texts(model, data.tokenizer, TEXTS[:2], sampling)
    model.aigc_attention = "flex"
    set_attention(model, CPU, "32-true")
    assert generate_texts(model, data.tokenizer, TEXTS[:2], sampling) == expected
    assert model.config._attn_implementation == "flex_attention"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_is_tried_before_it_is_trusted(family, data):
    class Nothing(Positions):
        def inputs(self, model, batch):
            return {"position_ids": batch["position_ids"], "attention_mask": torch.ones_like(batch["position_ids"])}

    model = made(data, family, initializer_range=0.02).eval()  # as weak as random weights are
    assert isolates(model, isolation_of(model))
    assert not isolates(model, Nothing())


@pytest.mark.parametrize("family", ["mamba", "bloom"])
def test_an_architecture_that_carries_documents_over_is_refused_with_packing(family, data, tmp_path):
    sizes = {"num_hidden_layers": 1, "hidden_size": 16, "state_size": 4}
    settings = sizes if family == "mamba" else {"n_layer": 1, "n_head": 2, "hidden_size": 16}
    factory = TransformersCausalLM(architecture=family, settings=settings)
    with pytest.raises(ConfigError, match=r"data\.packing"):
        factory.create(data)
    if family == "mamba":  # it is known before the data are prepared
        with pytest.raises(ConfigError, match=r"data\.packing"):
            factory.check_data(data)
    alone = text_data(tmp_path, TEXTS * 3, packing=False)
    model = factory.create(alone)
    assert isolation_of(model) is None
    assert difference(model, alone.example_rows(3)) < 1e-5


def test_boundaries_are_those_of_documents_laid_end_to_end():
    batch = {
        "segment_ids": torch.tensor([[1, 1, 2, 0], [1, 2, 2, 2]]),
        "position_ids": torch.tensor([[0, 1, 0, 0], [0, 0, 1, 2]]),
    }
    inputs = Boundaries().inputs(None, batch)
    assert inputs["cu_seq_lens_q"].tolist() == [0, 2, 3, 4, 5, 8]
    assert inputs["max_length_q"] == 4
    assert inputs["attention_mask"] is None
    assert Boundaries().inputs(None, batch | {"documents": 5})["cu_seq_lens_k"].tolist() == [0, 2, 3, 4, 5, 8]


@pytest.mark.parametrize(
    ("family", "attention", "settings"),
    [("gpt2", "flex", {"attn_pdrop": 0.1}), ("gemma2", "sdpa", {}), ("llama", "flash_attention_2", {})],
)
def test_an_implementation_that_cannot_be_had_is_refused(family, attention, settings, data):
    shape = {"num_hidden_layers": 1} if family == "gemma2" else {}
    small = FAMILIES.get(family, FAMILIES["mistral"]) | shape | settings
    if family == "gemma2":
        small |= {"layer_types": ["sliding_attention"]}
    with pytest.raises(ConfigError, match=r"model\.attention"):
        TransformersCausalLM(architecture=family, settings=small, attention=attention).create(data)


def test_layer_masks_wait_for_no_device(data):
    batch = {name: data.example_rows(2)[name].to("meta") for name in ("segment_ids", "position_ids")}
    for family in ("llama", "gemma3_text", "mistral"):
        model = made(data, family)
        assert isinstance(model.aigc_isolation, LayerMasks | DenseMask)
        LayerMasks().inputs(model, batch)  # a value that is read raises on meta tensors


@pytest.mark.parametrize(
    ("capability", "installed", "precision", "settings", "expected"),
    [
        ((9, 0), {2, 3}, "bf16-mixed", {}, "flash_attention_3"),
        ((8, 0), {2, 3}, "bf16-mixed", {}, "flash_attention_2"),
        ((9, 0), {2}, "32-true", {}, "flex_attention"),
        ((9, 0), set(), "bf16-mixed", {}, "flex_attention"),
        ((9, 0), set(), "bf16-mixed", {"attention_dropout": 0.1}, "sdpa"),
        ((9, 0), set(), "32-true", {"head_dim": 8}, "sdpa"),
        ((7, 5), {2}, "16-mixed", {}, "sdpa"),
    ],
)
def test_auto_takes_the_fastest_of_a_device(capability, installed, precision, settings, expected, data, monkeypatch):
    model = made(data, "llama", **settings)
    packages = {
        f"flash_attention_{number}": (name, lambda number=number: number in installed, least)
        for number, (name, _, least) in zip((3, 2), attention._PACKAGES.values(), strict=True)
    }
    monkeypatch.setattr(attention, "_PACKAGES", packages)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    half = not precision.startswith("32")
    assert attention._fastest(model, torch.device("cuda"), half) == expected
    assert attention._fastest(model, CPU, half) == "sdpa"


def test_flash_attention_is_refused_where_it_cannot_be(data):
    model = made(data, "llama")
    model.aigc_attention = "flash_attention_2"
    with pytest.raises(ConfigError, match=r"model\.attention.*GPU"):
        set_attention(model, CPU, "bf16-mixed")
