"""No module of the package imports itself, directly or through others, not even inside of a function."""

import ast
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.unit.test_house import PACKAGE

ALLOWED: dict[tuple[str, str], str] = {}
"""Imports inside of functions that close a circle, each with the reason why it has to."""


def sources():
    """Every module of the package with its syntax tree."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join((PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def graph(trees):
    """Each module with those that it imports; imports for type checkers alone are none."""
    return {name: set(imported(tree, trees.keys())) - {name} for name, tree in trees.items()}


def imported(node, modules):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names if alias.name in modules)
        elif isinstance(child, ast.ImportFrom) and child.module:
            inner = (f"{child.module}.{alias.name}" for alias in child.names)
            yield from (name for name in (n if n in modules else child.module for n in inner) if name in modules)
        else:
            yield from imported(child, modules)


def circle(edges):
    """One circle of modules, empty where there is none."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return error.args[1]
    return []


@pytest.mark.slow
def test_no_module_imports_itself_through_others():
    edges = graph(sources())
    for (name, other), reason in ALLOWED.items():
        assert reason
        edges[name].remove(other)  # a KeyError: the exception is no longer needed
    assert circle(edges) == []
    assert len(edges) > 200


@pytest.mark.parametrize(
    "late", ["from pack import b", "def f():\n    import pack.b", "class A:\n    from pack.b import x"]
)
def test_a_circle_would_be_found(late):
    trees = {"pack": "", "pack.a": late, "pack.b": "from pack.c import y", "pack.c": "import pack.a"}
    edges = graph({name: ast.parse(text) for name, text in trees.items()})
    assert set(circle(edges)) == {"pack.a", "pack.b", "pack.c"}


def test_types_alone_make_no_circle():
    trees = {"pack.a": "if TYPE_CHECKING:\n    import pack.b", "pack.b": "import pack.a"}
    assert circle(graph({name: ast.parse(text) for name, text in trees.items()})) == []
