"""Data: readers, split, tokenizers, packing, the cache of prepared data, and the datamodules."""
