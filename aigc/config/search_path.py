"""A person's `./conf` goes before the shipped one in Hydra's search path: it adds choices and may replace them."""

from collections.abc import Iterator
from contextlib import contextmanager

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from aigc.config.locate import own_conf_folder


class OwnConfFirst(SearchPathPlugin):
    """Works only inside `active()`: a Hydra plugin is seen by every Hydra application of the process."""

    _active = False

    @classmethod
    @contextmanager
    def active(cls) -> Iterator[None]:
        """Switch the plugin on for one composition."""
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
