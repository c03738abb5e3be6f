"""Run folders: make them, find them, read them. Nothing here imports torch before it is needed."""

from aigc.runs.folder import Run, list_runs

__all__ = ["Run", "list_runs"]
