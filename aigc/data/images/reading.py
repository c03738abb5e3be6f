"""Reading a whole set in order, decoding ahead in a few threads."""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal, get_args

from aigc.data.hints import check_choice
from aigc.data.images.base import ImageArray, Images
from aigc.data.progress import log_once, step
from aigc.errors import InputError
from aigc.printing import plural

OnBad = Literal["fail", "skip"]
"""How an image is treated that cannot be read: it is an error, or it is left out and logged."""

_MOST_THREADS = 4
_AHEAD = 4
"""Images in hand for each thread."""
_WORTH_A_THREAD = 128 * 128 * 3
"""Bytes of pixels below which threads take longer to hand images over than to decode them."""
_SHOWN = 3
_LEFT_OUT = "Such images are left out with data.on_bad=skip; in aigc score-images with --skip-bad."
_TICK = 64


def decoded(
    images: Images,
    on_bad: OnBad = "fail",
    apply: Callable[[ImageArray], Any] | None = None,
    threads: int | None = None,
) -> Iterator[tuple[int, Any]]:
    """Read all images in order, some of them ahead.

    Args:
        images: The set.
        on_bad: `skip` leaves out what cannot be read, and warns once, at the end.
        apply: What is done with each image in the thread that has decoded it.
        threads: How many decode; None means one for each processor, four at most, or one if the first image is small.

    Yields:
        Number and image, uint8 of shape (height, width, 3), or what `apply` made of it.

    Raises:
        InputError: An image cannot be read; with `skip`, if none can.
    """
    check_choice("on_bad", on_bad, get_args(OnBad))

    def work(index: int) -> Any:
        try:
            image = images.read(index)
        except InputError as error:
            if on_bad == "fail":
                raise InputError(f"{error} {_LEFT_OUT}") from error
            return error
        return image if apply is None else apply(image)

    skipped, reason = [], ""
    for index, result in enumerate(_in_order(work, len(images), threads or _threads_for(images))):
        if isinstance(result, InputError):
            skipped.append(index)
            reason = reason or str(result)
        else:
            yield index, result
    if skipped and len(skipped) == len(images):
        raise InputError(f"{images.name}: none of {plural(len(images), 'image')} can be read. {reason}")
    if skipped:
        log_skipped(images, skipped)


def readable(images: Images) -> Images:
    """Return the images of a set that can be decoded; all are decoded once to find out, and the others are logged.

    Raises:
        InputError: None can.
    """
    with step(f"checking for damaged images in {images.name}", len(images)) as advance:
        good = []
        for done, (index, _) in enumerate(decoded(images, "skip"), 1):
            good.append(index)
            if done % _TICK == 0:
                advance(_TICK)
    return images if len(good) == len(images) else images.subset(good)


def _threads_for(images: Images) -> int:
    """Choose the number of threads: one if the first image is small."""
    try:
        small = images.read(0).nbytes < _WORTH_A_THREAD
    except InputError:
        small = False
    return 1 if small else min(_MOST_THREADS, os.cpu_count() or 1)


def _in_order(work: Callable[[int], Any], count: int, threads: int) -> Iterator[Any]:
    """Yield the result for each number, in order; threads work ahead by a bounded number."""
    if threads == 1:
        yield from map(work, range(count))
        return
    waiting: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(threads, "decode") as pool:
        try:
            for index in range(count):
                waiting.append(pool.submit(work, index))
                if len(waiting) == threads * _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def log_skipped(images: Images, skipped: Sequence[int]) -> None:
    """Say which images of a set are left out as they cannot be read, once in a process."""
    names = ", ".join(images.name_of(index) for index in skipped[:_SHOWN])
    more = ", ..." if len(skipped) > _SHOWN else ""
    what = f"{len(skipped):,} of {plural(len(images), 'image')} cannot be read and are left out"
    log_once(f"{images.name}: {what}: {names}{more}", logging.WARNING)
