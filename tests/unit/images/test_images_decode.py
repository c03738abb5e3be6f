"""Decoding gives the pixels that reference implementations read, and says plainly what it cannot read."""

import io
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from aigc.data.images.decode import decode
from aigc.errors import InputError
from tests.unit.images.images_samples import packed, pixels

KINDS = ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"]


def palette(colours: int = 4, transparency: bytes | int | None = None) -> bytes:
    image = Image.fromarray(pixels(1)).quantize(colours)
    return packed(image, **({} if transparency is None else {"transparency": transparency}))


FILES = {
    "rgb": packed(pixels(0)),
    "grey": packed(pixels(0, channels=1)[:, :, 0]),
    "black and white": packed(Image.fromarray(pixels(0, channels=1)[:, :, 0]).convert("1")),
    "grey and alpha": packed(Image.fromarray(pixels(0, channels=2), "LA")),
    "rgb and alpha": packed(pixels(0, channels=4)),
    "palette": palette(),
    "palette with a transparent colour": palette(transparency=1),
    "palette with alpha": palette(transparency=bytes([0, 100, 200, 255])),
    "rgb with a transparent colour": packed(pixels(0), transparency=tuple(int(x) for x in pixels(0)[0, 0])),
    "cmyk": packed(Image.fromarray(pixels(0, channels=4), "CMYK"), "JPEG"),
    "webp with alpha": packed(pixels(0, channels=4), "WEBP", lossless=True, exact=True),
    "tiff with alpha": packed(pixels(0, channels=4), "TIFF"),
} | {f"plain {kind}": packed(pixels(2), kind) for kind in KINDS}


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_pixels_are_those_that_pillow_converts_to_rgb(file: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
    found = decode(file, "a")
    assert (found.dtype, found.shape) == (np.uint8, (5, 7, 3))
    assert np.array_equal(found, expected)
    assert np.array_equal(decode(io.BytesIO(file), "a"), expected)
    found[:] = 0  # an array of the caller's own


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled_to_the_nearest(kind: str) -> None:
    deep = np.linspace(0, 65535, 1000).round().astype(np.uint16).reshape(20, 50)
    found = decode(packed(Image.fromarray(deep), kind), "a")
    assert np.array_equal(found, np.repeat(np.rint(deep / 257).astype(np.uint8)[..., None], 3, axis=2))
    clipped = np.asarray(Image.open(io.BytesIO(packed(Image.fromarray(deep), kind))).convert("RGB"))
    assert not np.array_equal(found, clipped)  # what Pillow would make of it


@given(st.integers(0, 1000), st.sampled_from([("white", 255), ("black", 0)]))
def test_transparency_is_laid_on_a_ground(seed: int, ground: tuple[str, int]) -> None:
    rgba = pixels(seed, channels=4)
    rgba[0, :2, 3] = 0, 255
    found = decode(packed(rgba), "a", ground[0])
    share = rgba[..., 3:].astype(np.float64) / 255
    exact = share * rgba[..., :3] + (1 - share) * ground[1]
    assert np.abs(found - exact).max() < 1.01
    assert found[0, 0].tolist() == [ground[1]] * 3
    assert np.array_equal(found[0, 1], rgba[0, 1, :3])
    assert np.array_equal(decode(packed(rgba), "a"), rgba[..., :3])


def test_a_transparent_colour_of_a_palette_shows_the_ground() -> None:
    clear = decode(palette(transparency=bytes(4)), "a", "white")
    assert (clear == 255).all()
    assert not (decode(palette(transparency=bytes(4)), "a") == 255).all()
    opaque = FILES["rgb"]
    assert np.array_equal(decode(opaque, "a", "black"), decode(opaque, "a"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_image_that_lies_on_its_side_is_put_upright(kind: str, orientation: int) -> None:
    from PIL import ImageOps

    image = Image.fromarray(pixels(3, 16, 24))
    image.getexif()[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    file = packed(image, kind, exif=image.getexif(), **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))))
    found = decode(file, "a")
    assert found.shape == ((24, 16, 3) if orientation > 4 else (16, 24, 3))
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_is_read(kind: str) -> None:
    frames = [Image.fromarray(np.full((4, 4, 3), shade, np.uint8)) for shade in (40, 120, 250)]
    file = packed(
        frames[0], kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
    )
    assert Image.open(io.BytesIO(file)).n_frames == 3
    assert (decode(file, "a") == 40).all()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def claiming(width: int, height: int) -> bytes:
    """A PNG of seventy bytes that says it is of this size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (10_001, 10_000)])
def test_a_huge_image_is_refused_before_it_is_decoded(width: int, height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(InputError, match=rf"^bomb.png: {width:,} x {height:,} pixels; at most 100,000,000 pixels"):
            decode(claiming(width, height), "bomb.png")
    assert caught == []
    assert limit == Image.MAX_IMAGE_PIXELS
    with pytest.raises(InputError, match="cut short: decoded"):  # one that is not too large would have been
        decode(claiming(10_000, 10_000), "fine.png")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_short_anywhere_is_refused_or_whole(kind: str) -> None:
    file = packed(pixels(4, 24, 24), kind)
    whole = decode(file, "a")
    refused = []
    for length in range(0, len(file), 7):
        try:
            assert np.array_equal(decode(file[:length], "x/a.png"), whole)
        except InputError as error:
            refused.append(str(error))
    assert len(refused) >= len(range(0, len(file) - 64, 7))
    assert all(message.startswith("x/a.png: ") and "\n" not in message for message in refused)


@given(st.sampled_from(KINDS), st.integers(0, 2000), st.binary(min_size=1, max_size=4))
def test_damage_gives_an_image_or_an_input_error_and_no_warning(kind: str, place: int, noise: bytes) -> None:
    file = bytearray(packed(pixels(5, 16, 16), kind))
    place %= len(file)
    file[place : place + len(noise)] = noise
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = decode(bytes(file), "a")
            assert (found.dtype, found.ndim, found.shape[2]) == (np.uint8, 3, 3)
        except InputError:
            pass
    assert caught == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.png: the file is empty."),
        (b"not an image at all", "a.png: no image, or damaged in its first bytes; read are PNG, JPEG, "),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a.png: no image"),  # Pillow would start Ghostscript
        (packed(pixels(0).astype(np.float32)[..., 0], "TIFF"), "a.png: floating-point numbers, which have no fixed"),
        (packed(pixels(0).astype(np.int32)[..., 0], "TIFF"), "a.png: 32-bit whole numbers, which have no fixed range"),
    ],
)
def test_a_file_that_is_not_an_image_is_named(content: bytes, message: str) -> None:
    with pytest.raises(InputError) as raised:
        decode(content, "a.png")
    assert str(raised.value).startswith(message)


def test_another_ground_is_refused() -> None:
    with pytest.raises(InputError, match=r"alpha is 'grey'\. .*Allowed: drop, white, black\."):
        decode(FILES["rgb"], "a", "grey")  # type: ignore[arg-type]


def test_nothing_is_printed_when_warnings_are_errors(tmp_path: Path) -> None:
    place = tmp_path / "a.png"
    place.write_bytes(FILES["palette with alpha"])
    code = "import sys\nfrom PIL import Image\nfrom aigc.data.images.decode import decode\n"
    code += "file = open(sys.argv[1], 'rb')\n"
    for use, silent in (("decode(file, 'a')", True), ("Image.open(file).convert('RGB')", False)):
        command = [sys.executable, "-W", "error::UserWarning", "-c", code + use, str(place)]
        assert (subprocess.run(command, capture_output=True).stderr == b"") is silent
