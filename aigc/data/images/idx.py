"""The format of MNIST and its relatives: an array of bytes behind its shape."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aigc.data.images.decode import reason
from aigc.errors import InputError

_BYTES = 8
"""The format's number for uint8."""


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an idx file of uint8, packed by gzip or not (http://yann.lecun.com/exdb/mnist).

    Args:
        path: The file; one that ends in .gz is unpacked.

    Raises:
        InputError: It is cut short, too long, damaged, or of another type.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            zeros, kind, axes = struct.unpack(">HBB", file.read(4))
            if zeros or kind != _BYTES:
                raise ValueError("it does not begin like one of uint8")
            shape = struct.unpack(f">{axes}I", file.read(4 * axes))
            content = file.read(math.prod(shape) + 1)
            return np.frombuffer(content, np.uint8).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise InputError(f"{path}: no whole idx file: {reason(error)}. Copy or download it again.") from error
