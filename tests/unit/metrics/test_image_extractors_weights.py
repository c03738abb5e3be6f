"""Files of weights: where they are looked for, what is verified, what a person is told."""

import errno
import hashlib
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from aigc.errors import AigcError, InputError
from aigc.metrics.image.extractors import weights
from aigc.metrics.image.extractors.weights import Published, find, is_at_hand, load, loading

CONTENT = b"weights that everybody uses" * 100_000
"""More than two blocks."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Torch's cache of this test; nothing is named, and the network is on."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    for name in ("AIGC_WEIGHTS", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def published(tmp_path: Path) -> Published:
    """Weights that a server has, which is a file here."""
    served = tmp_path / "served" / "net-1234.pth"
    served.parent.mkdir()
    served.write_bytes(CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    return Published("the weights of the net", ("net-1234.pth", "pt_net-1234.pth"), served.as_uri(), digest)


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_what_is_not_here_is_downloaded_once(cache: Path, published: Published, tmp_path: Path) -> None:
    path = find(published)
    assert path == cache / "net-1234.pth"
    assert path.read_bytes() == CONTENT
    assert list(cache.iterdir()) == [path]
    (tmp_path / "served" / "net-1234.pth").unlink()
    assert find(published) == path


@pytest.mark.parametrize("sent", [CONTENT[:-1], b"", b"<html>log in first</html>"])
def test_what_is_not_whole_is_never_kept(sent: bytes, cache: Path, published: Published, tmp_path: Path) -> None:
    put(tmp_path / "served" / "net-1234.pth", sent)
    with pytest.raises(AigcError, match=r"sent something else than the weights of the net, or not all of it.*AIGC_W"):
        find(published)
    assert list(cache.iterdir()) == []


def test_a_connection_that_breaks_leaves_nothing(
    cache: Path, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Breaking:
        def __init__(self) -> None:
            self.left = [CONTENT[: 1 << 20]]

        def __enter__(self) -> "Breaking":
            return self

        def __exit__(self, *_: object) -> None: ...

        def read(self, _: int) -> bytes:
            if self.left:
                return self.left.pop()
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    monkeypatch.setattr(weights.urllib.request, "urlopen", lambda *_, **__: Breaking())
    with pytest.raises(InputError, match=r"cannot be fetched: .*Connection reset by peer"):
        find(published)
    assert list(cache.iterdir()) == []


def test_a_server_out_of_reach_is_told_with_two_ways_out(cache: Path, published: Published, tmp_path: Path) -> None:
    (tmp_path / "served" / "net-1234.pth").unlink()
    with pytest.raises(InputError, match=r"not here and cannot be fetched: .*weights_path=FILE.*AIGC_WEIGHTS"):
        find(published)


@pytest.mark.parametrize("switch", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_nothing_is_tried(
    switch: str, cache: Path, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(switch, "1")
    monkeypatch.setattr(weights.urllib.request, "urlopen", lambda *_, **__: pytest.fail("the network was used"))
    with pytest.raises(InputError) as raised:
        find(published)
    for part in (published.what, published.url, "weights_path=FILE", "AIGC_WEIGHTS", "efficientnet_lite0"):
        assert part in str(raised.value)
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_told(cache: Path, published: Published, tmp_path: Path) -> None:
    put(tmp_path / "torch" / "hub")  # a file where the folder should be
    with pytest.raises(InputError, match=r"cannot be kept in .*checkpoints: "):
        find(published)


@pytest.mark.parametrize("name", ["net-1234.pth", "pt_net-1234.pth"])
def test_a_folder_is_searched_for_all_names(
    name: str, cache: Path, published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path / "mine" / name)
    assert find(published, str(path.parent)) == path
    assert not cache.exists()
    monkeypatch.setenv("AIGC_WEIGHTS", str(path.parent))
    assert find(published) == path
    monkeypatch.setenv("AIGC_WEIGHTS", str(path))
    assert find(published) == path
    monkeypatch.delenv("AIGC_WEIGHTS")
    assert find(published) == cache / "net-1234.pth"


def test_only_what_is_there_is_at_hand(
    cache: Path, published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_at_hand(published)
    folder = put(tmp_path / "mine" / "other.pth").parent
    for place, found in ((folder, False), (tmp_path / "nowhere", False), (folder / "other.pth", True)):
        monkeypatch.setenv("AIGC_WEIGHTS", str(place))
        assert is_at_hand(published) is found
    put(folder / "pt_net-1234.pth")
    monkeypatch.setenv("AIGC_WEIGHTS", str(folder))
    assert is_at_hand(published)
    monkeypatch.delenv("AIGC_WEIGHTS")
    assert not is_at_hand(published)
    put(cache / "net-1234.pth")
    assert is_at_hand(published)


def test_what_is_given_wins(cache: Path, published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = put(tmp_path / "own.pth", b"other weights")
    monkeypatch.setenv("AIGC_WEIGHTS", str(put(tmp_path / "mine" / "net-1234.pth").parent))
    assert find(published, str(own)) == own


def test_a_folder_of_other_weights_does_not_hide_the_cache(
    cache: Path, published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIGC_WEIGHTS", str(put(tmp_path / "mine" / "other.pth").parent))
    path = put(cache / "pt_net-1234.pth")
    assert find(published) == path
    with pytest.raises(InputError, match=r"folder holds no net-1234\.pth nor pt_net-1234\.pth"):
        find(published, str(tmp_path / "mine"))


def test_a_published_name_with_another_content_is_refused(cache: Path, published: Published) -> None:
    path = put(cache / "net-1234.pth", CONTENT[:-1])
    with pytest.raises(InputError, match=rf"{path}: its name says .*begins with \w{{8}} and not with .*Delete it"):
        find(published)
    assert path.exists()


def test_a_place_that_is_not_there_is_named(cache: Path, published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"^weights_path=nowhere/net\.pth: no such file or folder"):
        find(published, "nowhere/net.pth")
    monkeypatch.setenv("AIGC_WEIGHTS", "nowhere")
    with pytest.raises(InputError, match=r"^AIGC_WEIGHTS=nowhere: no such file or folder"):
        find(published)


class Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("touched"),))


@pytest.mark.parametrize("content", [b"", b"no weights", pickle.dumps({"a": 1}, 2)[:-3], pickle.dumps(Evil(), 2)])
def test_a_damaged_file_is_named_and_runs_no_code(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"net\.pth: damaged, or not weights saved by torch"):
        load(put(tmp_path / "net.pth", content))
    assert not Path("touched").exists()


def test_plain_unpickling_would_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Evil(), 2))
    assert Path("touched").exists()


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"model": {"weight": torch.zeros(1)}}, tmp_path / "net.pth")
    with pytest.raises(InputError, match=r"holds no state_dict"):
        load(tmp_path / "net.pth")


def test_weights_of_another_network_name_some_keys() -> None:
    network = torch.nn.Linear(2, 3)
    state = {"weight": torch.zeros(3, 4), **{f"other.{number}": torch.zeros(1) for number in range(99)}}
    with pytest.raises(InputError) as raised, loading(Path("net.pth"), "a line"):
        network.load_state_dict(state)
    message = str(raised.value)
    assert message.startswith('net.pth: these are not weights of a line. Missing key(s) in state_dict: "bias".')
    assert "other.0" in message
    assert "size mismatch for weight" in message
    assert len(message) < 500
