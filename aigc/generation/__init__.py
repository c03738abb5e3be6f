"""Writing texts and drawing images: what evaluation, inference and training share."""
