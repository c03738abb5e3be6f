"""Hydra plugins: the user's `./conf` is searched before the shipped one, and files are read by `read_yaml`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from aigc.config.defaults import check_defaults
from aigc.config.locate import search_folders
from aigc.config.yaml_files import read_yaml


class CheckedFiles(FileConfigSource):
    """Source of config files whose form and defaults lists are checked as they are read."""

    @staticmethod
    def scheme() -> str:
        """Return the scheme of its paths in Hydra's search path."""
        return "aigc"

    def load_config(self, config_path: str) -> ConfigResult:
        """Read a config.

        Raises:
            ConfigError: The file cannot be read, or its defaults list is wrong.
        """
        config = config_path.removesuffix(".yaml")
        file = read_yaml(Path(self.path) / f"{config}.yaml")
        check_defaults(file, config)
        try:
            header = ConfigSource._get_header_dict(file.text[:512])
        except ValueError as error:
            raise file.error(f"{error}; the first line may be `# @package _global_`", line=1) from error
        content = file.config()
        followed = {"defaults": content["defaults"]} if "defaults" in content else {}
        followed |= {"content": True} if set(content) - {"defaults"} else {}  # Hydra asks no more than whether
        return ConfigResult(self.provider, f"aigc://{self.path}", OmegaConf.create(followed), header)


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
