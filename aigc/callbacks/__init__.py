"""What happens beside training: checkpoints, exact state, progress, throughput, status, stopping when asked."""

from aigc.callbacks.checkpoints import Checkpoints
from aigc.callbacks.exact_state import ExactState
from aigc.callbacks.progress import Progress
from aigc.callbacks.status import KeepStatus
from aigc.callbacks.stop import StopWhenAsked
from aigc.callbacks.throughput import Throughput

__all__ = ["Checkpoints", "ExactState", "KeepStatus", "Progress", "StopWhenAsked", "Throughput"]
