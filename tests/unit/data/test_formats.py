"""A format is one file: nothing else is edited, and messages and prefixes know it."""

import sys
from pathlib import Path

import numpy as np
import pytest

import aigc.data.images.formats as image_formats
import aigc.data.text.formats as text_formats
from aigc.cli import score_images
from aigc.data import formats
from aigc.data.formats import find_formats
from aigc.data.images import open_images
from aigc.data.text import TextData
from aigc.errors import InputError

VERSES = """
from aigc.data.text.examples import Example
from aigc.data.text.formats.base import TextFormat, read_lines

class Verses(TextFormat):
    suffixes = (".verse",)
    has_columns = False
    def read(self, path, layout):
        return (Example(line.strip(" /\\n")) for _, line in read_lines(path))

FORMAT = Verses()
"""
BLOBS = """
import numpy as np
from aigc.data.images.arrays import ArrayImages
from aigc.data.images.formats.base import ImageFormat

class Blobs(ImageFormat):
    suffixes = (".blob",)
    shown = "a .blob file"
    def open(self, where, path, settings):
        return ArrayImages(where, np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 2, 2, 3))

FORMAT = Blobs()
"""
NOISE = """
import numpy as np
from aigc.data.images.arrays import ArrayImages
from aigc.data.images.formats.base import ImageFormat

class Noise(ImageFormat):
    prefix = "noise:"
    shown = "noise:COUNT"
    def open(self, where, path, settings):
        return ArrayImages(where, np.zeros((int(where.removeprefix(self.prefix)), 2, 2, 3), np.uint8))

FORMAT = Noise()
"""


@pytest.fixture
def one_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Add files to a package of formats for a test."""

    def add(package, **modules: str) -> None:
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(source)
            monkeypatch.delitem(sys.modules, f"{package.__name__}.{name}", raising=False)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
        clear()

    yield add
    monkeypatch.undo()
    clear()


def clear() -> None:
    """Have the files looked for again."""
    formats._formats.cache_clear()
    formats._own_formats.cache_clear()


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A package of a person with formats of both kinds, which is trusted."""
    for name, source in {"text/formats/verses": VERSES, "images/formats/noise": NOISE}.items():
        path = tmp_path / f"poetry/data/{name}.py"
        path.parent.mkdir(parents=True)
        path.write_text(source)
    (tmp_path / "bare").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("aigc.config.trust._named", ["bare", "nowhere", "poetry"])
    clear()
    yield tmp_path / "poetry"
    clear()
    for name in [one for one in sys.modules if one.split(".")[0] in ("poetry", "bare")]:
        del sys.modules[name]


def test_a_new_text_format_is_one_file(one_more, tmp_path: Path, write) -> None:
    path = write("poems.verse", "one /\ntwo /\n")
    with pytest.raises(InputError, match=r"no reader for '\.verse'"):
        TextData(str(path), cache=str(tmp_path / "c")).setup()
    one_more(text_formats, verses=VERSES)
    data = TextData(str(path), cache=str(tmp_path / "c"), batch_size=1, validation_fraction=0.5)
    data.setup()
    assert data.heldout[0].text in ("one", "two")
    with pytest.raises(InputError, match=r"allowed: .*\.verse"):
        TextData(str(write("a.docx", "a")), cache=str(tmp_path / "c")).setup()


def test_new_formats_of_images_are_one_file_each(one_more, tmp_path: Path, write) -> None:
    path = write("a.blob", np.arange(24, dtype=np.uint8).tobytes())
    with pytest.raises(InputError, match="images cannot be read from it"):
        open_images(str(path))
    one_more(image_formats, blobs=BLOBS, noise=NOISE)
    assert len(open_images(str(path))) == 2
    assert len(open_images("noise:3")) == 3
    assert "noise:" in image_formats.prefixes()
    with pytest.raises(InputError, match=r"allowed: .*a \.blob file.*noise:COUNT"):
        open_images(str(write("a.docx", "a")))


def test_a_trusted_package_has_formats_of_its_own(own_package: Path, tmp_path: Path, write, monkeypatch) -> None:
    path = write("poems.verse", "one /\ntwo /\n")
    data = TextData(str(path), cache=str(tmp_path / "c"), batch_size=1, validation_fraction=0.5)
    data.setup()
    assert data.heldout[0].text in ("one", "two")
    assert len(open_images("noise:3")) == 3
    assert "noise:COUNT" in " ".join(score_images.parser().format_help().split())
    monkeypatch.setattr("aigc.config.trust._named", [])
    assert "noise:COUNT" not in image_formats.described()


def test_a_module_of_a_trusted_package_that_does_not_import_is_named(own_package: Path) -> None:
    (own_package / "data/text/formats/verses.py").write_text("import no_such_package\n")
    clear()
    with pytest.raises(InputError, match=r"poetry\.data\.text\.formats.*no_such_package"):
        text_formats.formats()


def test_every_module_of_formats_that_has_one_is_found() -> None:
    for package, kind in ((text_formats, text_formats.TextFormat), (image_formats, image_formats.ImageFormat)):
        modules = {type(one).__module__.rpartition(".")[2] for one in find_formats(package.__name__, kind)}
        files = {path.stem for path in Path(package.__path__[0]).glob("*.py")}
        assert modules == files - {"__init__", "base"}
