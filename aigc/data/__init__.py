"""Data: text and images for training; the cache of prepared data, loaders and samplers that both share."""
