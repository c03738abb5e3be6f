"""Packages that a `_target_` may come from: known libraries, and those that the user names."""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aigc.files.text import UnreadableTextError, read_text
from aigc.printing import shortened

TRUSTED = ("aigc", "torch", "torchvision", "pytorch_lightning", "torchmetrics", "transformers")

_named: list[str] = []
_OPTION = "add --trust {}"
_way = _OPTION
"""How a person names a package of their own."""


def trust(packages: list[str]) -> None:
    """Trust more packages in this process; call it only with values of `--trust`, never with those of a config."""
    _named.extend(package for package in packages if package not in _named)


@contextmanager
def asked_for(way: str) -> Iterator[None]:
    """Let messages within say how else than by `--trust` a package is named, as `pass trust=["{}"]`."""
    global _way
    _way = way
    try:
        yield
    finally:
        _way = _OPTION


def named_packages() -> list[str]:
    """Return the packages named in this process, to pass on to processes that it starts."""
    return list(_named)


def trusted_packages() -> tuple[str, ...]:
    """Return every trusted package: built-in, `--trust`, and `trusted` under `[tool.aigc]` in ./pyproject.toml."""
    return (*TRUSTED, *_named, *_from_project())


def is_trusted(target: str) -> bool:
    """Whether the top-level package of a dotted path is trusted."""
    return target.split(".")[0] in trusted_packages()


def how_to_trust(target: str) -> str:
    """Return how to use classes of one's own package."""
    package = shortened(target.split(".")[0], 60)
    if target.startswith("lightning.pytorch."):
        return f"write pytorch_lightning.{target.removeprefix('lightning.pytorch.')}, the name by which it is installed"
    return (
        f"package {package!r} is not trusted; if it is yours, {_way.format(package)}"
        f' or trusted = ["{package}"] under [tool.aigc] in ./pyproject.toml'
    )


def _from_project() -> tuple[str, ...]:
    path = Path("pyproject.toml")
    try:
        project = tomllib.loads(read_text(path))
    except (UnreadableTextError, tomllib.TOMLDecodeError):
        return ()
    names = project.get("tool", {}).get("aigc", {}).get("trusted", [])
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()
