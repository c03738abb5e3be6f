"""Tasks: what is learned and how, as LightningModules. A task of your own is one file here, or a class anywhere."""

from typing import TYPE_CHECKING

from aigc.config.exports import lazy_exports

if TYPE_CHECKING:  # the types that other packages use; a task needs no line here
    from aigc.tasks.base import Task as Task
    from aigc.tasks.gan.task import GanTask as GanTask
    from aigc.tasks.images.alternating import AlternatingTask as AlternatingTask
    from aigc.tasks.images.base import ImageTask as ImageTask
    from aigc.tasks.images.validated import ValidatedImageTask as ValidatedImageTask
    from aigc.tasks.language.base import LanguageTask as LanguageTask
    from aigc.tasks.language.causal_lm import CausalLM as CausalLM
    from aigc.tasks.language.tokens import TokenTask as TokenTask

__getattr__, __dir__ = lazy_exports(__name__)
