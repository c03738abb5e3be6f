"""Adversarial losses, one class in each module; the module's name is that of the loss."""
