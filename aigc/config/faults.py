"""Errors of config files with file and line, where Hydra and OmegaConf do not report them."""

import re
from pathlib import Path

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aigc.config.locate import search_folders, shown_path
from aigc.config.origins import key_lines
from aigc.config.problems import ConfigError, Problem, suggest


def group_choices() -> dict[str, list[str]]:
    """Return every config group with its choices, as in `conf/<group>/<choice>.yaml`, including `./conf`.

    A file whose name starts with `_` is not a choice but a part of others.
    """
    choices: dict[str, set[str]] = {}
    for folder in search_folders():
        for path in folder.rglob("*.yaml"):
            parts = path.relative_to(folder).with_suffix("").parts
            if len(parts) > 1 and not parts[-1].startswith("_"):
                choices.setdefault(parts[0], set()).add("/".join(parts[1:]))
    return {group: sorted(names) for group, names in sorted(choices.items())}


def unreadable(error: Exception) -> ConfigError:
    """Return the error of a file that does not load, with the file's name, which OmegaConf's error lacks."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        origin = f"{shown_path(Path(mark.name))}:{mark.line + 1}:{mark.column + 1}"
        return ConfigError([Problem("", f"invalid YAML: {error.problem}", origin)])
    for folder in search_folders():
        for path in sorted(folder.rglob("*.yaml")):
            try:
                OmegaConf.load(path)
            except OmegaConfBaseException as cause:
                origin = f"{shown_path(path)}:{dict(key_lines(path)).get(cause.full_key or '', 1)}"
                return ConfigError([Problem(cause.full_key or "", str(cause).splitlines()[0], origin)])
            except (yaml.YAMLError, UnicodeDecodeError):
                continue  # a different error in another file
    return ConfigError([Problem("", str(error).splitlines()[0])])


def endless() -> ConfigError:
    """Return the error of a defaults list whose configs include one another without end."""
    for folder in search_folders():
        for path in sorted(folder.rglob("*.yaml")):
            group = path.relative_to(folder).parts[0]
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if (chosen := re.match(rf"\s*-\s*/?{re.escape(group)}\s*:\s*([\w/]+)", line)) and path.parent != folder:
                    what = f"this includes the group itself; to begin with another of its configs: - {chosen[1]}"
                    return ConfigError([Problem("defaults", what, f"{shown_path(path)}:{number}")])
    return ConfigError([Problem("defaults", "configs include one another without end")])


def no_such_group(error: Exception) -> ConfigError:
    """Return the error of `override /modle: gpt2` in a defaults list."""
    text = " ".join(str(error).split())
    found = re.search(r"In '([^']+)': Could not override '/?([^'@]+)", text)
    if found is None:
        return ConfigError([Problem("defaults", text)])
    group, origin = found.group(2), ""
    for folder in search_folders():
        path = folder / f"{found.group(1)}.yaml"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        numbers = [number for number, line in enumerate(lines, 1) if f"/{group}" in line or f"override {group}" in line]
        if numbers:
            origin = f"{shown_path(path)}:{numbers[0]}"
            break
    return ConfigError(
        [Problem("defaults", f"no group {group!r} to override; {suggest(group, group_choices())}", origin)]
    )


def defaults_origin(missing: str) -> str:
    """Return the file and line of a defaults list that names a config which does not exist."""
    group, _, choice = missing.rpartition("/")
    for folder in search_folders():
        for path in sorted(folder.rglob("*.yaml")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                named = line.partition("#")[0].strip()
                chosen = choice in named and group.rpartition("/")[2] in named and ":" in named
                inherited = ":" not in named and named.endswith(choice) and group.endswith(path.parent.parts[-1])
                if named.startswith("-") and (chosen or inherited):
                    return f"{shown_path(path)}:{number}"
    return ""
