"""Parts of GANs: spectral normalisation, resampling convolutions, attention, conditioning, heads."""

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from aigc.models.images.gan.attention import SelfAttention
from aigc.models.images.gan.conditioning import ConditionalBatchNorm, Head, JoinedEmbedding
from aigc.models.images.gan.parts import (
    DownConvolution,
    LinearMaps,
    UpConvolution,
    initialised,
    powers_of_two,
    spectral,
    upsampled,
)

LABELS = torch.tensor([0, 2, 1, 2])


@pytest.fixture(autouse=True)
def _same_numbers():
    torch.manual_seed(0)


def largest_singular_value(layer):
    with torch.no_grad():
        return float(torch.linalg.matrix_norm(layer.weight.flatten(1), 2))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(20, 12),
        nn.Conv2d(5, 9, 3),
        nn.Embedding(4, 30),
        UpConvolution(4, 6),
        DownConvolution(4, 6),
        LinearMaps(8, 3, 4),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_spectral_norm_holds_the_largest_singular_value_at_1_while_weights_move(layer):
    initialised(layer, "normal", gain=300)
    assert largest_singular_value(spectral(layer, False)) > 5
    spectral(layer, True)
    weight = layer.parametrizations.weight.original
    for _ in range(30):
        with torch.no_grad():
            weight += 0.3 * torch.randn_like(weight)
        assert layer.weight.shape == weight.shape, "a look is an iteration"
    assert largest_singular_value(layer) == pytest.approx(1, abs=0.05)


def test_initial_weights():
    def weights(how, gain=1.0):
        layer = initialised(nn.Conv2d(16, 32, 3), how, gain)
        assert not layer.bias.any()
        return layer.weight.detach().flatten(1)

    assert weights("normal").std() == pytest.approx(0.02, rel=0.05)
    bound = (6 / (9 * (16 + 32))) ** 0.5
    assert 0.98 * 2 * bound < weights("xavier", 2.0).abs().max() <= 2 * bound
    orthogonal = weights("orthogonal", 3.0)
    torch.testing.assert_close(orthogonal @ orthogonal.T, 9 * torch.eye(32), atol=1e-4, rtol=0)
    assert not weights("zeros").any()


def unfused(layer, maps):
    if isinstance(layer, UpConvolution):
        return F.conv2d(upsampled(maps), layer.weight, layer.bias, padding=1)
    return F.avg_pool2d(F.conv2d(maps, layer.weight, layer.bias, padding=1), 2)


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([UpConvolution, DownConvolution]), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4),
    st.integers(1, 4), st.booleans(), st.booleans(), st.integers(0, 99),
)  # fmt: skip
def test_resampling_in_the_convolution_is_resampling_beside_it(
    kind, inputs, outputs, high, wide, bias, channels_last, seed
):
    torch.manual_seed(seed)
    layer = kind(inputs, outputs, bias).double()
    maps = torch.randn(2, inputs, 2 * high, 2 * wide, dtype=torch.float64, requires_grad=True)
    seen = maps.contiguous(memory_format=torch.channels_last) if channels_last else maps
    both = layer(seen), unfused(layer, maps)
    torch.testing.assert_close(*both, atol=1e-12, rtol=0)
    wanted = torch.randn_like(both[0])
    gradients = [torch.autograd.grad((made * wanted).sum(), [maps, *layer.parameters()]) for made in both]
    torch.testing.assert_close(*gradients, atol=1e-12, rtol=0)


def test_linear_maps_are_a_linear_layer():
    layer = LinearMaps(3, 2, 4)
    vectors = torch.randn(5, 3)
    assert layer(vectors).shape == (5, 2, 4, 4)
    assert layer(vectors).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(layer(vectors).permute(0, 2, 3, 1).flatten(1), vectors @ layer.weight.T + layer.bias)


def attend(layer, maps):
    """SelfAttention pixel by pixel, of one image."""
    mixed = [torch.einsum("oc,chw->ohw", m.weight[:, :, 0, 0], maps) for m in (layer.queries, layer.keys, layer.values)]
    queries, keys, values = mixed
    _, high, wide = maps.shape
    places = [(slice(y, y + 2), slice(x, x + 2)) for y in range(0, high - 1, 2) for x in range(0, wide - 1, 2)]
    out = torch.empty(values.shape[0], high, wide, dtype=maps.dtype)
    for y in range(high):
        for x in range(wide):
            scores = torch.stack([(queries[:, y, x] * keys[:, *place].amax((1, 2))).sum() for place in places])
            shares = scores.exp() / scores.exp().sum()
            found = sum(share * values[:, *place].amax((1, 2)) for share, place in zip(shares, places, strict=True))
            out[:, y, x] = found
    return maps + layer.gamma * torch.einsum("oc,chw->ohw", layer.outputs.weight[:, :, 0, 0], out)


@pytest.mark.parametrize("channels", [3, 16])
def test_attention_is_its_formula(channels):
    layer, maps = SelfAttention(channels).double(), torch.randn(2, channels, 4, 6, dtype=torch.float64)
    assert torch.equal(layer(maps), maps), "gamma starts at 0"
    nn.init.constant_(layer.gamma, 0.7)
    expected = torch.stack([attend(layer, one) for one in maps])
    torch.testing.assert_close(layer(maps), expected, atol=1e-12, rtol=0)
    last = layer(maps.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected, atol=1e-12, rtol=0)
    assert last.is_contiguous(memory_format=torch.channels_last)


def test_attention_is_differentiable_twice():
    layer = SelfAttention(2, spectral_norm=True).double().eval()
    nn.init.constant_(layer.gamma, 0.7)
    assert torch.autograd.gradgradcheck(layer, torch.randn(1, 2, 2, 4, dtype=torch.float64, requires_grad=True))


def test_normalisation_without_classes_is_batch_norm():
    maps = torch.randn(4, 3, 2, 2)
    torch.testing.assert_close(ConditionalBatchNorm(3)(maps, LABELS), nn.BatchNorm2d(3)(maps))


def test_gain_and_shift_are_those_of_the_class():
    maps, layer = torch.randn(4, 5, 3, 3), ConditionalBatchNorm(5, 3)
    normal = F.batch_norm(maps, None, None, training=True)
    torch.testing.assert_close(layer(maps, LABELS), normal, msg="gains start at 1 and shifts at 0")
    for table in (layer.gain, layer.shift):
        nn.init.normal_(table.weight)
    for image, label in enumerate(LABELS):
        gain, shift = ((table.weight[label])[:, None, None] for table in (layer.gain, layer.shift))
        torch.testing.assert_close(layer(maps, LABELS)[image], normal[image] * (1 + gain) + shift)


@pytest.mark.parametrize("spectral_norm", [False, True])
def test_gain_and_shift_are_linear_in_a_vector(spectral_norm):
    maps, vectors = torch.randn(4, 5, 3, 3), torch.randn(4, 6)
    layer = ConditionalBatchNorm(5, None, 6, spectral_norm=spectral_norm).eval()
    gain, shift = (vectors @ made.weight.T for made in (layer.gain, layer.shift))
    expected = layer.normalise(maps) * (1 + gain[:, :, None, None]) + shift[:, :, None, None]
    torch.testing.assert_close(layer(maps, vectors), expected)


def test_a_projection_adds_the_inner_product_with_the_class():
    features, head = torch.randn(4, 6), Head(6, 3)
    output = head(features, LABELS)
    inner = (head.embedding.weight[LABELS] * features).sum(1)
    torch.testing.assert_close(output.logits, (features @ head.logit.weight.T + head.logit.bias)[:, 0] + inner)
    assert output.classes is None


def test_an_auxiliary_classifier_ignores_labels():
    features, head = torch.randn(4, 6), Head(6, 3, "auxiliary", spectral_norm=True).eval()
    output = head(features)
    assert output.classes.shape == (4, 3)
    told = head(features, LABELS)
    assert torch.equal(output.logits, told.logits)
    assert torch.equal(output.classes, told.classes)


def test_a_head_without_classes_takes_no_notice_of_labels():
    features, head = torch.randn(4, 6), Head(6, conditioning="auxiliary")
    assert torch.equal(head(features, LABELS).logits, head(features).logits)
    assert head(features).classes is None


@pytest.mark.parametrize("conditioning", ["projection", "auxiliary"])
def test_a_head_works_in_full_precision(conditioning):
    features, head = torch.randn(4, 6).bfloat16(), Head(6, 3, conditioning)
    with torch.autocast("cpu", torch.bfloat16):
        found = head(features, LABELS)
    expected = head(features.float(), LABELS)
    assert torch.equal(found.logits, expected.logits)
    assert found.classes is None or torch.equal(found.classes, expected.classes)
    assert copy.deepcopy(head).double()(features, LABELS).logits.dtype == torch.float64


def test_joined_embeddings_follow_the_latents():
    latents, joined = torch.randn(4, 5), JoinedEmbedding(3, 2)
    expected = torch.cat([latents, joined.embedding.weight[LABELS]], dim=1)
    assert torch.equal(joined(latents, LABELS), expected)
    for nothing in (JoinedEmbedding(0, 2), JoinedEmbedding(3, 0)):
        assert nothing.added == 0
        assert nothing(latents, LABELS) is latents


@pytest.mark.parametrize(
    ("part", "given"),
    [
        (Head(6, 3), torch.ones(2, 6)),
        (JoinedEmbedding(3, 2), torch.ones(2, 6)),
        (ConditionalBatchNorm(6, 3), torch.ones(2, 6, 2, 2)),
    ],
    ids=lambda one: type(one).__name__,
)
def test_missing_labels_are_an_error_that_says_so(part, given):
    with pytest.raises(ValueError, match=r"missing.*int64"):
        part(given, None)


def test_powers_of_two():
    assert powers_of_two(4, 4) == [4]
    assert powers_of_two(8, 64) == [8, 16, 32, 64]
