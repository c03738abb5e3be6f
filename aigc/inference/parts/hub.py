"""Upload of an exported model to the Hugging Face Hub."""

import json
from collections.abc import Sequence
from pathlib import Path

from aigc.errors import AigcError, InputError
from aigc.inference.parts.private_paths import without_folders

_BASES = {"adapter_config.json": "base_model_name_or_path", "base.json": "path"}
"""Files that name the base model of an adapter, and the key in each."""


def check_upload(name: str) -> None:
    """Check that a model can be uploaded under this name, before anything is written.

    Raises:
        InputError: The name is none, the Hub is switched off, or there is no token.
    """
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise InputError(f"--push {name}: {str(error).splitlines()[0]}") from error
    if constants.HF_HUB_OFFLINE:
        raise InputError(f"--push {name}: the Hub is switched off by HF_HUB_OFFLINE; unset it")
    if get_token() is None:
        raise InputError(f"--push {name}: there is no token; run `hf auth login`, or set HF_TOKEN")


def upload(files: Sequence[Path], folder: Path, name: str, message: str) -> str:
    """Upload files of a folder as one commit, and return the address; a repository that is made is private.

    Args:
        files: The files; no others in the folder are uploaded.
        folder: The folder.
        name: NAME or OWNER/NAME.
        message: The title of the commit.

    Raises:
        AigcError: The Hub refuses, or cannot be reached; the files stay in the folder.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    hub = HfApi()
    try:
        repository = hub.create_repo(name, private=True, exist_ok=True)
        added = [CommitOperationAdd(file.relative_to(folder).as_posix(), handed_on(file)) for file in files]
        hub.create_commit(repository.repo_id, added, commit_message=message)
    except Exception as error:  # the client raises its transport's own errors too
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise AigcError(f"the files are in {folder}, and were not uploaded to {name}: {reason}") from error
    return str(repository)


def handed_on(file: Path) -> Path | bytes:
    """Return what is uploaded of a file: the file, or what names an adapter's base model without that one's folders."""
    key = _BASES.get(file.name)
    if key is None:
        return file
    config = json.loads(file.read_bytes())
    if isinstance(config.get(key), str):
        config[key] = without_folders(config[key])
    return json.dumps(config, indent=2, ensure_ascii=False).encode()
