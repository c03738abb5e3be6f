"""Generation of texts and images, shared by evaluation, inference and training."""
