"""Reading ahead changes no order, is bounded, ends when asked, and leaves out what cannot be read only when told to."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aigc.data.images import ImageArray, Images, decoded, open_images, readable
from aigc.errors import InputError
from tests.unit.images.images_samples import packed, pixels
from tests.waiting import PATIENCE


class Slow(Images):
    """Images that take the longer the earlier they come in every four; numbers in `bad` cannot be read."""

    def __init__(self, number: int, bad: tuple[int, ...] = (), side: int = 1) -> None:
        self.name = "slow"
        self.number = number
        self.bad = bad
        self.side = side
        self.begun: list[int] = []
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()

    def __len__(self) -> int:
        return self.number

    def name_of(self, index: int) -> str:
        return f"slow/{index}"

    def read(self, index: int) -> ImageArray:
        self.begun.append(index)
        self.threads.add(threading.current_thread().name)
        time.sleep(0.001 * (3 - index % 4))
        if index:
            self.gate.wait(PATIENCE)
        if index in self.bad:
            raise InputError(f"slow/{index}: bad.")
        return np.full((self.side, self.side, 3), index, np.uint8)

    def _hash_all(self) -> list[str]:
        return [str(index) for index in range(self.number)]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_images_come_in_order_whichever_is_ready_first(threads: int) -> None:
    images = Slow(40)
    found = [(index, int(image[0, 0, 0])) for index, image in decoded(images, threads=threads)]
    assert found == [(index, index) for index in range(40)]
    assert sorted(images.begun) == list(range(40))
    assert any(name.startswith("decode") for name in images.threads) == (threads > 1)


def test_a_bounded_number_is_in_hand() -> None:
    images = Slow(100)
    for index, _ in decoded(images, threads=2):
        time.sleep(0.002)
        assert max(images.begun) <= index + 8
    assert max(images.begun) == 99


@pytest.mark.parametrize(("side", "threaded"), [(8, False), (200, True)])
def test_threads_are_used_where_images_are_worth_it(side: int, threaded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    images = Slow(8, side=side)
    list(decoded(images))
    assert (len(images.threads) > 1) == threaded


def alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_whoever_stops_early_begins_nothing_more_and_leaves_no_thread_behind() -> None:
    images = Slow(1000)
    images.gate.clear()
    reading = decoded(images, threads=2)
    next(reading)
    assert alive()
    threading.Timer(0.05, images.gate.set).start()
    reading.close()
    assert not alive()
    assert sorted(images.begun) in ([0, 1], [0, 1, 2])  # what was waiting for a thread was not begun


def test_a_bad_image_ends_the_reading_at_its_index() -> None:
    images, found = Slow(1000, bad=(5, 6)), []
    with pytest.raises(InputError, match=r"^slow/5: bad\. Such images are left out with data"):
        found.extend(index for index, _ in decoded(images, threads=2))
    assert found == [0, 1, 2, 3, 4]
    assert len(images.begun) < 20
    assert not alive()


@pytest.mark.parametrize("threads", [1, 2])
def test_bad_images_are_left_out_and_logged_once(threads: int, caplog: pytest.LogCaptureFixture) -> None:
    found = [index for index, _ in decoded(Slow(2000, bad=(0, 3, 4, 5, 7)).subset(range(9)), "skip", threads=threads)]
    assert found == [1, 2, 6, 8]
    says = "slow: 5 of 9 images cannot be read and are left out: slow/0, slow/3, slow/4, ..."
    assert [record.getMessage() for record in caplog.records] == [says]


def test_a_set_of_bad_images_is_refused_with_a_reason() -> None:
    with pytest.raises(InputError, match=r"slow: none of 3 images can be read\. slow/0: bad\."):
        list(decoded(Slow(3, bad=(0, 1, 2)), "skip"))


def test_an_error_in_what_is_done_with_images_is_never_skipped() -> None:
    def refuse(image: ImageArray) -> None:
        raise InputError("not like this.")

    for threads in (1, 2):
        with pytest.raises(InputError, match="not like this"):
            list(decoded(Slow(3), "skip", refuse, threads))


def test_another_word_is_refused() -> None:
    with pytest.raises(InputError, match=r"on_bad is 'skpi'\. Did you mean skip\? Allowed: fail, skip\."):
        list(decoded(Slow(3), "skpi"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"on_bad is 'none'\. Allowed: fail, skip\."):
        open_images("asset:emoji32.png", on_bad="none")  # type: ignore[arg-type]


def test_the_readable_ones_are_the_set_without_the_others(
    folder: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    good = {f"{name}/{index}.png": pixels(index, 4 + index, 9) for name in "ab" for index in range(4)}
    without = open_images(str(folder(good, "without")))
    whole = folder(good | {"a/2a.png": packed(pixels(0))[:50], "b/0.jpg": b"", "b/x.png": b"text"}, "whole")
    with caplog.at_level(logging.INFO, "aigc"):
        images = open_images(str(whole), on_bad="skip")
    assert f"checking for damaged images in {whole}" in caplog.messages
    assert f"{whole}: 3 of 11 images cannot be read and are left out: " in caplog.text
    assert f"{whole}/a/2a.png, {whole}/b/0.jpg, {whole}/b/x.png" in caplog.text
    assert len(images) == len(without) == 8
    assert images.labels is not None
    assert images.labels.tolist() == [0] * 4 + [1] * 4
    assert images.fingerprint() == without.fingerprint() != open_images(str(whole)).fingerprint()
    for (index, image), (other, expected) in zip(decoded(images), decoded(without), strict=True):
        assert (index, image.tolist()) == (other, expected.tolist())  # of mixed sizes
        assert images.name_of(index).removeprefix(str(whole)) == without.name_of(index).removeprefix(without.name)
    with pytest.raises(InputError, match=r"whole/a/2a\.png: damaged or cut short"):
        list(decoded(open_images(str(whole))))


def test_a_set_without_damage_stays_the_same_object(folder: Callable[..., Path]) -> None:
    images = open_images(str(folder({"a.png": pixels(0)})))
    assert readable(images) is images


def test_hashing_many_files_is_shown(
    folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = str(folder({f"{index}.png": pixels(index) for index in range(5)}))
    with caplog.at_level(logging.INFO, "aigc"):
        expected = open_images(place).fingerprint()
        assert caplog.messages == []
        monkeypatch.setattr("aigc.data.images.formats.folder._MANY", 5)
        monkeypatch.setattr("aigc.data.images.formats.folder._TICK", 2)
        assert open_images(place).fingerprint() == expected
    assert caplog.messages == ["hashing 5 images"]
