"""Packages that export what their modules define, by import and by reading sources."""

import importlib

import pytest

from aigc.config.class_sources import TargetError, find_class, find_module, named_classes
from aigc.config.targets import signature

INIT = """
from aigc.config.exports import lazy_exports

def make(maker):
    return type(maker.__name__[:-5], (maker,), {})

__getattr__, __dir__ = lazy_exports(__name__, suffix="Maker", convert=make)
"""
FILES = {
    "__init__.py": INIT,
    "one.py": "raise_on_import = 1\nclass Gadget:\n    key = 'gadget'\n    def __init__(self, size: int): ...\n",
    "deep/__init__.py": "",
    "deep/two.py": "class ToolMaker:\n    key = 'tool'\n    def __init__(self, teeth: int = 3): ...\n"
    "def turn(): return 7\n",
    "three.py": "class Twice: ...\nclass _Hidden: ...\n",
    "four.py": "class Twice: ...\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    name = f"offering_{tmp_path.name.replace('-', '_')}"
    for path, text in FILES.items():
        (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / path).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    find_module.cache_clear()
    return name


def test_a_new_module_needs_no_entry_in_a_list(package):
    module = importlib.import_module(package)
    assert module.Gadget is importlib.import_module(f"{package}.one").Gadget
    assert module.turn() == 7
    assert issubclass(module.Tool, module.ToolMaker)
    assert module.Tool is not module.ToolMaker
    assert module.Tool is module.Tool
    assert {"Gadget", "Tool", "ToolMaker", "turn"} <= set(dir(module))
    for wrong in ("Missing", "_Hidden", "raise_on_import"):
        with pytest.raises(AttributeError, match=wrong):
            getattr(module, wrong)


def test_sources_show_what_an_import_gives(package):
    assert find_class(f"{package}.Gadget") == find_class(f"{package}.one.Gadget")
    assert list(signature(f"{package}.Gadget").parameters) == ["size"]
    assert list(signature(f"{package}.Tool").parameters) == ["teeth"]
    assert named_classes(package, "key") == {"gadget": f"{package}.one.Gadget", "tool": f"{package}.deep.two.ToolMaker"}


def test_a_misspelt_name_suggests_the_nearest(package):
    for typed, meant in (("Gadgte", "Gadget"), ("Toll", "Tool")):
        with pytest.raises(TargetError, match=f"did you mean {meant}"):
            find_class(f"{package}.{typed}")


def test_a_name_in_two_modules_is_refused(package):
    with pytest.raises(TargetError, match="four and three"):
        find_class(f"{package}.Twice")
    with pytest.raises(AttributeError, match="four and three"):
        importlib.import_module(package).Twice  # noqa: B018


def test_a_package_without_exports_offers_nothing(package, tmp_path):
    (tmp_path / package / "__init__.py").write_text("")
    find_module.cache_clear()
    with pytest.raises(TargetError, match="no class 'Gadget'"):
        find_class(f"{package}.Gadget")
