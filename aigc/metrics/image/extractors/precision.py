"""Full float32 precision and deterministic results, independent of the settings of training."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch


@contextmanager
def full_precision(device: str) -> Iterator[None]:
    """Compute without autocast, TF32 and bfloat16 products, and with deterministic algorithms of cuDNN alone.

    TF32, which torch uses in convolutions by default, keeps 10 bits of a number: features would agree to three digits
    with those of another device. All switches stand as before afterwards.

    Args:
        device: The type of the device: cpu, cuda.
    """
    backends: Any = torch.backends  # whose newer switches are not typed
    cudnn = backends.cudnn
    with ExitStack() as stack:
        stack.enter_context(torch.autocast(device, enabled=False))
        operations = []
        if hasattr(cudnn, "conv"):  # torch 2.9 and later
            operations = [cudnn.conv, backends.cuda.matmul, backends.mkldnn.conv, backends.mkldnn.matmul]
        for operation in operations:
            stack.callback(setattr, operation, "fp32_precision", operation.fp32_precision)
        try:
            products, convolutions = torch.get_float32_matmul_precision(), cudnn.allow_tf32
        except RuntimeError:  # somebody uses the newer switches, and torch refuses to read the older ones then
            for operation in operations:
                operation.fp32_precision = "ieee"
        else:
            stack.callback(setattr, cudnn, "allow_tf32", convolutions)
            stack.callback(torch.set_float32_matmul_precision, products)
            cudnn.allow_tf32 = False
            torch.set_float32_matmul_precision("highest")
        for switch, value in (("benchmark", False), ("deterministic", True)):
            stack.callback(setattr, cudnn, switch, getattr(cudnn, switch))
            setattr(cudnn, switch, value)
        yield
