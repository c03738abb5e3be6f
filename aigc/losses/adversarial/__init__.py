"""Adversarial losses, one class in each module; the name of the module is the name of the loss."""
