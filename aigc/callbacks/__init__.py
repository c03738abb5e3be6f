"""Callbacks: checkpoints, exact state, progress, throughput, status, early stopping, stopping on request."""

from aigc.callbacks.between_steps import BetweenSteps
from aigc.callbacks.checkpoints import Checkpoints
from aigc.callbacks.early_stopping import EarlyStopping
from aigc.callbacks.ending import Ending
from aigc.callbacks.estimate import Estimate
from aigc.callbacks.exact_state import ExactState
from aigc.callbacks.monitored import Monitored
from aigc.callbacks.progress import Progress
from aigc.callbacks.status import KeepStatus
from aigc.callbacks.throughput import Throughput

__all__ = [
    "BetweenSteps",
    "Checkpoints",
    "EarlyStopping",
    "Ending",
    "Estimate",
    "ExactState",
    "KeepStatus",
    "Monitored",
    "Progress",
    "Throughput",
]
