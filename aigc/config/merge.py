"""The files of a config, merged in the order of Hydra's defaults list."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from aigc.config.choices import config_files
from aigc.config.file_list import list_files
from aigc.config.origins import Origins
from aigc.config.replaced import Replaced, drop_untaken, left_out, written_target
from aigc.config.yaml_files import read_yaml


def merge_files(groups: Sequence[str], replaced: Mapping[str, Replaced]) -> tuple[DictConfig, Origins, dict[str, str]]:
    """Merge the files of the config with these choices, and return it with origins and all choices.

    Args:
        groups: Choices, `group=choice` or `~group`.
        replaced: The slots for which another choice was typed; what an experiment sets for the old one is left out.

    Raises:
        ConfigError: A file cannot be read, or a defaults list is wrong.
    """
    listed = list_files(groups)
    cfg, origins = OmegaConf.create({}), Origins()
    chosen: dict[str, Any] = {}
    for config, package in listed.files:
        file = read_yaml(config_files(config)[0])
        loaded = _below(file.config(), package)
        for slot in listed.emptied.get(config, ()):
            _remove(cfg, slot)  # keys of the files before this one belong to what it leaves out
            origins.emptied(slot, file)
        origins.read(file, package)
        if config.startswith("experiment/"):
            if not chosen:  # before the first of an experiment's files
                chosen = {slot: copy.deepcopy(OmegaConf.select(cfg, slot)) for slot in replaced}
            _leave_out(loaded, replaced, chosen, origins)
        _drop_replaced(cfg, loaded)
        cfg.merge_with(loaded)
    return cfg, origins, listed.choices


def _leave_out(
    loaded: DictConfig, replaced: Mapping[str, Replaced], chosen: Mapping[str, Any], origins: Origins
) -> None:
    """Leave out what an experiment sets for choices that were replaced, of which `chosen` has the new ones."""
    for slot, one in replaced.items():
        section = _node(loaded, slot)
        if isinstance(section, DictConfig) and not section._is_none() and not section._is_interpolation():
            plain = OmegaConf.to_container(section, resolve=False)
            assert isinstance(plain, dict)
            for key in left_out(slot, one.before, chosen[slot], plain):
                parent, _, name = f"{slot}.{key}".rpartition(".")
                del OmegaConf.select(loaded, parent)[name]
                origins.leave_out(f"{slot}.{key}", one.choice)


def _remove(cfg: DictConfig, key: str) -> None:
    above, _, name = key.rpartition(".")
    node = _node(cfg, above) if above else cfg
    if isinstance(node, DictConfig) and not node._is_none():
        node.pop(name, None)


def _node(cfg: DictConfig, key: str) -> Any:
    """Return the node at a key, whose parts may be missing or hold no mappings."""
    node: Any = cfg
    for name in key.split("."):
        node = node._get_node(name) if isinstance(node, DictConfig) and not node._is_none() else None
    return node


def _drop_replaced(cfg: DictConfig, loaded: DictConfig) -> None:
    """Drop what cannot stay: keys that another class does not take, and lists for mappings or the reverse.

    OmegaConf cannot merge a list and a mapping; `check` reports one in a wrong place.
    """
    target, before = written_target(loaded), written_target(cfg)
    if target and before and target != before:
        drop_untaken(cfg, target)
    for name in list(loaded):
        new, old = loaded._get_node(name), cfg._get_node(name)
        if isinstance(new, DictConfig) and isinstance(old, DictConfig):
            if not new._is_none() and not new._is_interpolation() and not old._is_none():
                _drop_replaced(old, new)
        elif {type(new), type(old)} == {DictConfig, ListConfig}:
            del cfg[name]


def _below(loaded: DictConfig, package: str) -> DictConfig:
    """Return the keys of a file below the key that it is merged into."""
    loaded.pop("defaults", None)
    for name in reversed(package.split(".") if package else []):
        loaded = OmegaConf.create({name: loaded})
    return loaded
