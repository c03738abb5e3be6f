"""Reading a corpus without training, by the module's earlier name: `aigc.data.text.sources` and its neighbours."""

from aigc.data.text.corpus import Corpus, Source, digest_files, read_corpus
from aigc.data.text.examples import Example, Layout
from aigc.data.text.sources import FileSource, open_source

__all__ = ["Corpus", "Example", "FileSource", "Layout", "Source", "digest_files", "open_source", "read_corpus"]
