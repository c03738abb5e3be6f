"""Images from seeds: each depends on its own seed and label alone, and what cannot be made is said."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aigc.errors import InputError
from aigc.generation.image_choice import ImageChoice
from aigc.generation.seeded_images import SeededImages
from aigc.metrics.image.path_length import interpolate
from aigc.metrics.image.quantisation import quantise
from tests.unit.models.tiny_generators import generator

NAMES = ["A", "B", "1", "0"]


def maker(kind="TinyGenerator", classes=0, truncation=1.0, **settings):
    return SeededImages(generator(kind, classes, **settings)[0].train(), truncation)


@pytest.mark.parametrize("kind", ["TinyGenerator", "TinyStyles"])
def test_an_image_is_the_same_alone_and_among_others_to_the_last_bit(kind):
    made = maker(kind, classes=3)
    state = torch.get_rng_state()
    many = list(made.images([made.source(seed, seed % 3) for seed in range(9)]))
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(7)
    assert torch.equal(maker(kind, classes=3).image(made.source(5, 2)), many[5])
    assert many[5].dtype == torch.uint8
    assert many[5].shape == (3, 6, 6)
    assert len({image.numpy().tobytes() for image in many}) == 9
    assert not torch.equal(made.image(made.source(5, 1)), many[5]), "another label, another image"


def test_noise_is_not_what_the_latents_are_drawn_from():
    made = maker("TinyStyles", noise=1.0)
    source = made.source(3)
    torch.manual_seed(source.noise)
    assert not torch.equal(torch.randn(5), source.latents[0])


@pytest.mark.parametrize("truncation", [0.0, 0.3, 1.0])
def test_styles_are_drawn_to_their_average(truncation):
    made = maker("TinyStyles", truncation=truncation, noise=0.0)
    network, source = made.generator, made.source(4)
    with torch.no_grad():
        style = network.mapping(source.latents)
        expected = network.synthesis(network.average_style + truncation * (style - network.average_style))
    torch.testing.assert_close(made.image(source).short(), quantise(expected)[0].short(), atol=1, rtol=0)
    others = [made.image(made.source(seed)) for seed in range(3)]
    assert torch.equal(others[0], others[1]) == (truncation == 0)


def test_latents_are_cut_off_where_there_are_no_styles():
    free, cut = maker(), maker(truncation=0.2)
    assert max(float(free.source(seed).latents.abs().max()) for seed in range(20)) > 1
    assert max(float(cut.source(seed).latents.abs().max()) for seed in range(20)) <= 0.4
    with pytest.raises(InputError, match=r"truncation=0: TinyGenerator has no styles .* give 0\.01 to 1"):
        maker(truncation=0.0)


def test_a_way_begins_and_ends_at_its_images_along_an_arc():
    made = maker(classes=3)
    sources = [made.source(seed, 1) for seed in (2, 8, 5)]
    frames = list(made.interpolated(sources, 5))
    ends = list(made.images(sources))
    assert len(frames) == 10
    assert all(torch.equal(frames[i], ends[j]) for i, j in ((0, 0), (4, 1), (5, 1), (9, 2)))
    middle = interpolate(sources[0].latents, sources[1].latents, 0.5, "slerp")
    assert torch.equal(frames[2], made.image(sources[0]._replace(latents=middle)))
    assert not torch.equal(middle, (sources[0].latents + sources[1].latents) / 2)
    looped = list(made.interpolated([*sources, sources[0]], 5, ends=False))
    assert len(looped) == 12
    assert all(torch.equal(looped[4 * i], ends[i]) for i in range(3))


def test_a_way_between_styles_is_straight_and_its_noise_stands_still():
    made = maker("TinyStyles", classes=3, noise=0.2)
    sources = [made.source(1, 0), made.source(1, 2)]
    frames = list(made.interpolated(sources, 3))
    network = made.generator
    with torch.no_grad(), torch.random.fork_rng():
        start, end = (network.mapping(source.latents, source.label) for source in sources)
        torch.manual_seed(sources[0].noise)
        expected = quantise(network.synthesis((start + end) / 2))[0]
    torch.testing.assert_close(frames[1].short(), expected.short(), atol=1, rtol=0)
    steps = [
        float((b.float() - a.float()).abs().mean()) for a, b in pairwise(maker("TinyStyles").interpolated(sources, 200))
    ]
    assert max(steps) < 3, "no flicker"


def test_mixed_styles_are_those_of_the_row_up_to_the_crossover():
    made = maker("TinyStyles", noise=0.0)
    rows, columns = [made.source(1), made.source(2)], [made.source(3), made.source(4), made.source(5)]
    network = made.generator
    for crossover, first in ((None, 2), (1, 1), (3, 3)):
        table = list(made.mixed(rows, columns, crossover))
        with torch.no_grad():
            row, column = network.mapping(rows[1].latents), network.mapping(columns[2].latents)
            expected = network.synthesis(torch.cat([row[:, :first], column[:, first:]], 1))
        assert len(table) == 6
        torch.testing.assert_close(table[5].short(), quantise(expected)[0].short(), atol=1, rtol=0)
    assert torch.equal(next(made.mixed(rows, rows, 2)), made.image(rows[0]))
    for crossover in (4, 9):
        with pytest.raises(InputError, match="the generator has 4 layers; give 1 to 3"):
            next(made.mixed(rows, columns, crossover))
    with pytest.raises(InputError, match="TinyGenerator has no styles to mix"):
        next(maker().mixed(rows, columns, None))


def test_an_image_of_a_diverged_generator_is_refused():
    made = maker()
    torch.nn.init.constant_(made.generator.linear.bias, float("nan"))
    with pytest.raises(InputError, match="NaN"):
        made.image(made.source(0))


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 40)), min_size=1, max_size=6))
def test_seeds_are_read_as_they_are_written(parts):
    text = ",".join(f"{first}-{first + more}" for first, more in parts)
    assert ImageChoice(seed=text).seeds() == [s for first, more in parts for s in range(first, first + more + 1)]


@pytest.mark.parametrize(
    ("keys", "seeds"),
    [
        ({}, list(range(16))),
        ({"seed": "5", "num_images": 3}, [5, 6, 7]),
        ({"seed": " 7 , 3"}, [7, 3]),
        ({"seed": "4-4"}, [4]),
        ({"seed": "0-2", "num_images": 3}, [0, 1, 2]),
        ({"labels": ",".join("A" * 20)}, list(range(20))),
        ({"mixing": "2x3", "seed": "9"}, [9, 10, 11, 12, 13]),
        ({"mixing": "1x2", "seed": "9,1,4"}, [9, 1, 4]),
    ],
)
def test_which_seeds_are_meant(keys, seeds):
    assert ImageChoice(**keys).seeds() == seeds


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"seed": "-1"}, "expected a whole number from 0"),
        ({"seed": "1.5"}, "expected a whole number"),
        ({"seed": "1,"}, "expected a whole number"),
        ({"seed": "٣"}, "expected a whole number"),
        ({"seed": "9-3"}, "not a range"),
        ({"seed": "0-99999999"}, "not a range of at most 1000000 seeds"),
        ({"seed": "9223372036854775808"}, "not a range"),
        ({"seed": "9223372036854775807"}, "the largest seed is"),
        ({"seed": "1,2", "num_images": 3}, "names 2 images, and num_images asks for 3"),
        ({"mixing": "2x2", "seed": "1,2"}, "names 2 images, and mixing=2x2 asks for 4"),
        ({"mixing": "2x2", "num_images": 4}, "num_images=4: mixing=2x2"),
        ({"mixing": "0x2"}, "expected ROWSxCOLUMNS, such as 3x5"),
        ({"mixing": "2"}, "expected ROWSxCOLUMNS"),
    ],
)
def test_impossible_seeds_are_named(keys, said):
    with pytest.raises(InputError, match=said):
        ImageChoice(**keys).seeds()


def test_labels_are_names_or_numbers_in_turn_or_those_of_the_seeds():
    assert ImageChoice(seed="5,2,3").labels_of(NAMES) == [1, 2, 3]
    assert ImageChoice(labels="B,3", seed="5-7").labels_of(NAMES) == [1, 3, 1]
    assert ImageChoice(labels="0,1, A", num_images=4).labels_of(NAMES) == [3, 2, 0, 3], "a name wins over a number"
    assert ImageChoice().labels_of([]) is None
    with pytest.raises(
        InputError, match=r"no class 'a'\. Did you mean A\? Allowed: A, B, 1, 0\. Or numbers from 0 to 3"
    ):
        ImageChoice(labels="B,a").labels_of(NAMES)
    with pytest.raises(InputError, match="no class '4'"):
        ImageChoice(labels="4").labels_of(NAMES)
    with pytest.raises(InputError, match="without labels"):
        ImageChoice(labels="A").labels_of([])


def test_on_a_way_there_is_one_class():
    assert ImageChoice(seed="5,2,3", interpolation=4).labels_of(NAMES) == [1, 1, 1]
    assert ImageChoice(seed="5,2,3", interpolation=4, labels="A").labels_of(NAMES) == [NAMES.index("A")] * 3
    with pytest.raises(InputError, match="labels=A,B: an interpolation has one class"):
        ImageChoice(seed="5,2,3", interpolation=4, labels="A,B").labels_of(NAMES)


def test_names_that_are_numbers_are_not_indices():
    assert ImageChoice(labels="5,3", num_images=2).labels_of(["3", "5", "8"]) == [1, 0]
    with pytest.raises(InputError, match=r"labels=1: no class '1'\."):
        ImageChoice(labels="1").labels_of(["3", "5", "8"])
