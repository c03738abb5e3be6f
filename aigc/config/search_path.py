"""Hydra plugins: the user's `./conf` is searched before the shipped one, and files are read by `read_yaml`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from aigc.config.defaults import check_defaults
from aigc.config.locate import search_folders
from aigc.config.types import shown
from aigc.config.yaml_files import YamlFile, read_yaml


class CheckedFiles(ConfigSource):
    """Source of config files whose form and defaults lists are checked as they are read."""

    @staticmethod
    def scheme() -> str:
        """Return the scheme of its paths in Hydra's search path."""
        return "aigc"

    def load_config(self, config_path: str) -> ConfigResult:
        """Read what Hydra needs of a config: the key that it is merged into, and its defaults list.

        Raises:
            ConfigError: The file cannot be read, or its defaults list is wrong.
        """
        config = config_path.removesuffix(".yaml")
        file = read_yaml(Path(self.path) / f"{config}.yaml")
        check_defaults(file, config)
        content = file.config()
        followed = {"defaults": content["defaults"]} if "defaults" in content else {}
        followed |= {"content": True} if set(content) - {"defaults"} else {}  # Hydra asks no more than whether
        return ConfigResult(
            self.provider, f"aigc://{self.path}", OmegaConf.create(followed), {"package": _package(file)}
        )

    def available(self) -> bool:
        """Return whether the folder exists."""
        return self.is_group("")

    def is_group(self, config_path: str) -> bool:
        """Return whether there is a folder of this name."""
        return (Path(self.path) / config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        """Return whether there is a config of this name."""
        return (Path(self.path) / f"{config_path.removesuffix('.yaml')}.yaml").is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the names of configs and groups in a group, in alphabetical order."""
        found = (Path(self.path) / config_path).iterdir()
        kinds = {path.stem: ObjectType.GROUP if path.is_dir() else ObjectType.CONFIG for path in found}
        return sorted(name for name, kind in kinds.items() if results_filter in (None, kind))


def _package(file: YamlFile) -> str | None:
    """Return the key that the first comment lines say a file is merged into; None where they do not.

    Raises:
        ConfigError: Such a line is not `# @package NAME`.
    """
    for number, line in enumerate(file.text.splitlines(), 1):
        words = line.strip().lstrip("#").split()
        if line.strip() and not line.lstrip().startswith("#"):
            break
        if words and words[0].startswith("@"):
            if len(words) != 2 or words[0] != "@package":
                raise file.error(
                    f"{shown(line.strip())} is not `# @package NAME`, such as `# @package _global_`", line=number
                )
            return words[1]
    return None


class SearchFolders(SearchPathPlugin):
    """Search path plugin that is active only inside `active()`, as plugins apply to every Hydra application."""

    _active = False

    @classmethod
    @contextmanager
    def active(cls) -> Iterator[None]:
        """Enable the plugin for one composition."""
        before, cls._active = cls._active, True
        try:
            yield
        finally:
            cls._active = before

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Put the search folders in place of the folder that Hydra was started with."""
        if not self._active:
            return
        paths = search_path.get_path()
        paths[:] = [path for path in paths if path.provider != "main"]
        for folder in reversed(search_folders()):
            search_path.prepend("main", f"aigc://{folder}")
