"""Files of published weights: found on this machine, or downloaded once and verified."""

import http.client
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from aigc.errors import AigcError, InputError
from aigc.runs.console import log
from aigc.runs.files import replacing, sha256_file

_BLOCK = 1 << 20
_TIMEOUT = 30
"""Seconds to wait for an answer of the server."""


@dataclass(frozen=True)
class Published:
    """A file of published weights.

    Attributes:
        what: In a sentence: "the Inception network's weights".
        names: What the file is called, by whoever publishes it.
        url: Where it is downloaded from, to be kept under the last part of this address; empty if it is not.
        digest: SHA-256 of the file.
    """

    what: str
    names: tuple[str, ...]
    url: str
    digest: str

    @property
    def help(self) -> str:
        """What to do on a machine without a network."""
        return (
            f"Download {self.url} where there is a network; then name the file (inception.weights_path=FILE for "
            "`aigc score-images`, weights_path in the extractor's node of a config), or put it into a folder and set "
            "AIGC_WEIGHTS to that folder. The extractor efficientnet_lite0 needs no network."
        )


def find(published: Published, given: str | None = None) -> Path:
    """Return the file of weights: given, named by AIGC_WEIGHTS, in torch's cache, or downloaded into it.

    Args:
        published: What is looked for.
        given: A file, which may hold other weights, or a folder that holds the published file.

    Raises:
        InputError: A path that was given does not exist, a file with the published name holds something else, or
            there is no such file here and no network.
        AigcError: What was downloaded is not the published file.
    """
    for given_path, option in ((given, "weights_path"), (os.environ.get("AIGC_WEIGHTS"), "AIGC_WEIGHTS")):
        path = Path(given_path).expanduser() if given_path else None
        if path is None:
            continue
        if path.is_file():
            return path
        if not path.is_dir():
            raise InputError(f"{option}={given_path}: no such file or folder. {published.help}")
        found = in_folder(published, path)
        if found:
            return found
        if option == "weights_path":
            names = " nor ".join(published.names)
            raise InputError(f"weights_path={given_path}: the folder holds no {names}. {published.help}")
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    return in_folder(published, cache) or _download(published, cache)


def is_at_hand(published: Published) -> bool:
    """Whether AIGC_WEIGHTS names a file or a folder that holds it, or it is in torch's cache: nothing is fetched."""
    paths = [Path(torch.hub.get_dir()) / "checkpoints"]
    if named := os.environ.get("AIGC_WEIGHTS"):
        paths.append(Path(named).expanduser())
    return paths[-1].is_file() or any((path / name).is_file() for path in paths for name in published.names)


def in_folder(published: Published, folder: Path) -> Path | None:
    """Return the first file in a folder with one of the published names, verified; None when there is none.

    Raises:
        InputError: It holds something else than its name says.
    """
    path = next((folder / name for name in published.names if (folder / name).is_file()), None)
    if path is None:
        return None
    digest = sha256_file(path)
    if digest != published.digest:
        raise InputError(
            f"{path}: its name says that it holds {published.what}, but its SHA-256 begins with {digest[:8]} and not "
            f"with {published.digest[:8]}. Delete it and fetch it again."
        )
    return path


def load(path: Path) -> dict[str, Tensor]:
    """Load the tensors of a file that `torch.save` made; only tensors are read, so no code runs.

    Raises:
        InputError: The file is damaged, or holds something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling damaged bytes raises whatever it comes across
        reason = (str(error).splitlines() or [""])[0][:120]
        what = "damaged, or not weights saved by torch"
        raise InputError(f"{path}: {what} ({type(error).__name__}: {reason})") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path}: holds no state_dict, a mapping from names to tensors.")
    return state


@contextmanager
def loading(path: Path, network: str) -> Iterator[None]:
    """Turn errors of loading weights into a network into an InputError that names some of the keys."""
    try:
        yield
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        shortly = " ".join(line if len(line) < 160 else line[:150] + " ..." for line in lines[:3])
        raise InputError(f"{path}: these are not weights of {network}. {shortly}") from error


def is_offline() -> bool:
    """Whether the network is switched off by an environment variable."""
    switches = (os.environ.get(name, "") for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    return any(switch.upper() in ("1", "ON", "YES", "TRUE") for switch in switches)


def _download(published: Published, folder: Path) -> Path:
    target = folder / published.url.rpartition("/")[2]
    if is_offline():
        raise InputError(f"{published.what} are not here, and the network is off (HF_HUB_OFFLINE). {published.help}")
    log.info("downloading %s to %s", published.url, folder)
    digest = sha256()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(target) as file:
            for block in _blocks(published):
                digest.update(block)
                file.write(block)
            if digest.hexdigest() != published.digest:
                raise AigcError(
                    f"{published.url} sent something else than {published.what}, or not all of it: its SHA-256 begins "
                    f"with {digest.hexdigest()[:8]} and not with {published.digest[:8]}. Try again. {published.help}"
                )
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{published.what} cannot be kept in {folder}: {reason}. {published.help}") from error
    return target


def _blocks(published: Published) -> Iterator[bytes]:
    try:
        with urllib.request.urlopen(published.url, timeout=_TIMEOUT) as response:
            while block := response.read(_BLOCK):
                yield block
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise InputError(f"{published.what} are not here and cannot be fetched: {reason}. {published.help}") from error
