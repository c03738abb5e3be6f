"""Every private name of other libraries that the package uses is in one list, and is still there."""

import ast
import inspect
import re
from importlib import import_module

import pytest

from tests.unit.test_circles import sources

FOREACH = {f"_foreach_{name}" for name in ("add_", "copy_", "lerp", "lerp_", "mul_", "sign_")}
"""What torch's own optimisers and clipping are made of."""
DOCUMENTED = {"_asdict", "_exit", *FOREACH}
"""Private by their looks only."""
IMPORTED = {
    "lightning_fabric.utilities.load._METADATA_FILENAME",
    "omegaconf._utils",
    "optuna.storages.journal._file",
    "sacrebleu.tokenizers.tokenizer_zh._UCODE_RANGES",
    "torch.distributed.checkpoint.default_planner._EmptyStateDictLoadPlanner",
    "torch.distributed.checkpoint.state_dict_loader._load_state_dict",
    "torch.nn.utils.parametrizations._SpectralNorm",
}
ATTRIBUTES = {
    "_BatchNorm": "torch.nn.modules.batchnorm",
    "_assert_async": "torch._C._VariableFunctions",
    "_attn_implementation": "transformers.PretrainedConfig",
    "_cache": "torchmetrics.Metric",
    "_compute_score_from_stats": "sacrebleu.metrics.BLEU",
    "_ex_iterable": "datasets.IterableDataset",
    "_extract_corpus_statistics": "sacrebleu.metrics.BLEU",
    "_get_file_writer": "torch.utils.tensorboard.SummaryWriter",
    "_get_node": "omegaconf.DictConfig",
    "_is_interpolation": "omegaconf.DictConfig",
    "_is_missing": "omegaconf.DictConfig",
    "_is_none": "omegaconf.DictConfig",
    "_is_synced": "torchmetrics.Metric",
    "_kwargs": "pytorch_lightning.loggers.TensorBoardLogger",
    "_model_mapping": "transformers.AutoModelForCausalLM",
    "_preprocess_segment": "sacrebleu.metrics.BLEU",
    "_signal_connector": "pytorch_lightning.Trainer",
    "_supports_flash_attn": "transformers.PreTrainedModel",
    "_supports_flex_attn": "transformers.PreTrainedModel",
    "_supports_sdpa": "transformers.PreTrainedModel",
    "_trainer": "pytorch_lightning.LightningModule",
    "_trial_id": "optuna.Trial",
    "_wandb_init": "pytorch_lightning.loggers.WandbLogger",
}
"""Attribute, and the class or module that has it."""


def names_used():
    """Attributes and imports that begin with one underscore and that nothing in the package defines."""
    trees = sources().values()
    nodes = [node for tree in trees for node in ast.walk(tree)]
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    defined |= {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    defined |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    imports = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("aigc"):
            private = [part for part in node.module.split(".") if re.match("_[a-zA-Z]", part)]
            imports |= {node.module} if private else set()
            imports |= {f"{node.module}.{alias.name}" for alias in node.names if re.match("_[a-zA-Z]", alias.name)}
    return {name for name in attributes - defined if re.match("_[a-zA-Z]", name)}, imports


@pytest.mark.slow
def test_every_private_name_is_listed():
    attributes, imports = names_used()
    assert (attributes - DOCUMENTED, imports) == (set(ATTRIBUTES), IMPORTED)


@pytest.mark.parametrize("name", sorted(IMPORTED))
def test_what_is_imported_is_there(name):
    pytest.importorskip(name.partition(".")[0])
    module, _, attribute = name.rpartition(".")
    assert hasattr(import_module(module), attribute)


@pytest.mark.parametrize(("attribute", "owner"), ATTRIBUTES.items())
def test_attributes_are_there(attribute, owner):
    pytest.importorskip(owner.partition(".")[0])
    module, _, name = owner.rpartition(".")
    found = getattr(import_module(module), name)
    classes = inspect.getmro(found) if isinstance(found, type) else ()
    of_instances = any(f"self.{attribute}" in inspect.getsource(one) for one in classes if one is not object)
    assert hasattr(found, attribute) or of_instances
