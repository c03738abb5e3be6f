"""Tasks that make images."""
