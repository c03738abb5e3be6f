"""Networks of this project, and factories for those of Transformers. A factory of your own is one file here."""

from aigc.config.exports import lazy_exports
from aigc.models.base import ModelFactory as ModelFactory

__getattr__, __dir__ = lazy_exports(__name__)  # Transformers takes seconds to import
