"""What happens beside training: checkpoints, progress, throughput, the run's status, stopping when asked."""

from aigc.callbacks.checkpoints import Checkpoints
from aigc.callbacks.progress import Progress
from aigc.callbacks.status import KeepStatus
from aigc.callbacks.stop import StopOnSignal
from aigc.callbacks.throughput import Throughput

__all__ = ["Checkpoints", "KeepStatus", "Progress", "StopOnSignal", "Throughput"]
