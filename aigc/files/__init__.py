"""Files that a person gives: which of them count, what they are by their first bytes, and reading text."""
