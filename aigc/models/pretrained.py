"""Folders of pretrained weights and tokenizers in the layout of Transformers; nothing here imports torch at once."""

from pathlib import Path
from typing import TYPE_CHECKING

from aigc.errors import InputError
from aigc.models.gguf_files import gguf_file, gguf_problem, named_gguf_files
from aigc.models.weight_files import PATTERNS, damaged_weights, weight_files
from aigc.printing import plural
from aigc.runs.references import is_reference, model_folder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_CONFIG = "config.json"
_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")


def local_folder(path: str) -> Path | None:
    """Return the folder that a path names, if there is one; otherwise it may be a name on the Hub.

    Raises:
        InputError: The path names a run that has no model.
    """
    if is_reference(path):
        return model_folder(path)
    folder = Path(path).expanduser()
    return folder if folder.is_dir() else None


def is_adapter(folder: Path) -> bool:
    """Return whether a folder holds an adapter alone, in the layout of PEFT."""
    return all((folder / name).is_file() for name in _ADAPTER)


def path_problem(path: str) -> str | None:
    """Return what is wrong with a path, as far as the file system tells.

    None for a folder, a run that has a model, a GGUF file, or a name on the Hub.
    """
    place = Path(path).expanduser()
    if is_reference(path):
        try:
            local_folder(path)
        except InputError as error:
            return str(error)
        return None
    if place.is_dir():
        return None
    if file := gguf_file(path):
        return gguf_problem(file)
    if place.is_file():
        return f"{path} is a file; name its folder, or a file in GGUF"
    is_local = path.startswith((".", "/", "~")) or path.endswith("/") or path.count("/") > 1
    return f"{path}: no such folder" if is_local else None


def loading_from(path: str) -> dict[str, str]:
    """Return the arguments that name a path to `from_pretrained` of Transformers."""
    if file := gguf_file(path):
        return {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    return {"pretrained_model_name_or_path": str(local_folder(path) or path)}


def weights_problem(path: str) -> str | None:
    """Return what is wrong with a path of pretrained weights, as `path_problem` does.

    A folder needs a config.json, and the files of weights that Transformers would load.
    """
    if problem := path_problem(path):
        return problem
    folder = local_folder(path)
    if folder is None:
        return None
    if (folder / _CONFIG).is_file():
        return None if is_adapter(folder) else _files_problem(path, folder)
    if named := named_gguf_files(folder):
        return named
    other = next((one.name for one in folder.iterdir() if one.name.lower() == _CONFIG), None)
    if other:
        return f"{path} has {other}, which must be called {_CONFIG}: rename it"
    return f"{path} has no {_CONFIG}, which describes the weights in *.safetensors beside it"


def _files_problem(path: str, folder: Path) -> str | None:
    try:
        files = weight_files(folder)
    except InputError as error:
        return str(error)
    if not files:
        return f"{path} has {_CONFIG} and no weights: {' or '.join(PATTERNS)} must lie beside it"
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        return f"{path} lacks {len(missing)} of {plural(len(files), 'file')} of weights: {missing[0]}"
    return damaged_weights(files)


def check_weights(path: str) -> None:
    """Check that a path may hold pretrained weights, as far as the file system tells.

    Raises:
        InputError: It does not.
    """
    if problem := weights_problem(path):
        raise InputError(problem)


def load_tokenizer(path: str) -> "PreTrainedTokenizerFast":
    """Load the tokenizer of a folder or of a model on the Hub; code that comes with it is never run.

    Raises:
        InputError: It is not there, cannot be reached, or is not a fast tokenizer.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    if problem := path_problem(path):
        raise InputError(problem)
    folder = local_folder(path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(**loading_from(path), trust_remote_code=False)
    except Exception as error:  # the Hub's client raises its transport's own errors too
        if folder is not None and not _has_tokenizer_files(folder):
            raise InputError(_without_files(path)) from error
        reason = (str(error).splitlines() or [""])[0].rstrip(".")
        missing = "" if folder or gguf_file(path) else "there is no such folder, and "
        raise InputError(f"{missing}no tokenizer could be loaded from '{path}': {reason}") from error
    if not tokenizer.get_vocab().keys() - tokenizer.get_added_vocab().keys() - {*tokenizer.all_special_tokens}:
        raise InputError(_without_files(path))  # without any file, Transformers makes one of special tokens alone
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise InputError(f"'{path}' has no tokenizer.json; only fast tokenizers are supported")
    return tokenizer


def _has_tokenizer_files(folder: Path) -> bool:
    patterns = ("tokenizer.json", "tokenizer*.model*", "*.tiktoken", "*.bpe.model", "spiece.model", "vocab*", "tekken*")
    return any(any(folder.glob(pattern)) for pattern in patterns)


def _without_files(path: str) -> str:
    return f"{path} has no tokenizer files, such as tokenizer.json: add those of the model, or name another folder"
