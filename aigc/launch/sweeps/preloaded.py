"""Imports for the process that trials are forked from, so that they are paid for once.

Nothing here may compute with torch or start a thread, as neither survives a fork.
"""

import contextlib

import pandas as _pandas
import sacrebleu as _sacrebleu
import transformers.models.gpt2.modeling_gpt2 as _gpt2
from transformers.conversion_mapping import get_checkpoint_conversion_mapping

import aigc.callbacks as _callbacks
import aigc.evaluation as _evaluation
import aigc.launch.run_local as _here
import aigc.launch.start as _start
import aigc.launch.sweeps.process as _process
from aigc.config import check, compose
from aigc.runs.environment import package_versions, source_digest

_IMPORTED = (_pandas, _sacrebleu, _gpt2, _callbacks, _evaluation, _here, _start, _process)
package_versions()
source_digest()
get_checkpoint_conversion_mapping("gpt2")
with contextlib.suppress(Exception):  # a user's own conf may name packages that are not trusted here
    check(compose(), deep=True)
