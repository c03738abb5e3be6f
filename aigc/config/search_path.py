"""Hydra plugin that searches the user's `./conf` before the shipped one, to add or replace choices."""

from collections.abc import Iterator
from contextlib import contextmanager

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from aigc.config.locate import own_conf_folder


class OwnConfFirst(SearchPathPlugin):
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
        """Put `./conf` first."""
        own = own_conf_folder()
        if self._active and own is not None:
            search_path.prepend("own", f"file://{own}")
