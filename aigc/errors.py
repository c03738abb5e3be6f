"""Errors that a person can act on: the command line prints the message alone and exits with `exit_code`."""

import errno

_OUT_OF_MEMORY = (
    "out of memory",  # CUDA, MPS, XPU
    "can't allocate memory",  # DefaultCPUAllocator
    "not enough memory",
    "_STATUS_ALLOC_FAILED",  # cuBLAS, cuDNN
)


class AigcError(Exception):
    """Something failed for a reason that one or two lines can say."""

    exit_code = 1


class InputError(AigcError):
    """Something a person gave is wrong; the message says what, where, what is allowed, what to do."""

    exit_code = 2


class RunInUse(InputError):
    """Another process works on the run."""


class RunExists(InputError):
    """There is a run of this id, or another process is making it."""


class InterruptedRun(AigcError):
    """A person stopped the run; the checkpoint was kept."""

    exit_code = 130


class PreemptedRun(AigcError):
    """The machine asked the run to stop; it can be resumed from its checkpoint."""

    exit_code = 75


class DivergedRun(AigcError):
    """The loss is no longer a finite number."""

    exit_code = 3


def exit_code(error: BaseException) -> int:
    """What a process ends with after this exception."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, AigcError) and error.exit_code != AigcError.exit_code:
        return error.exit_code
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:  # such a name was typed, whatever it is for
        return InputError.exit_code
    return 4 if is_out_of_memory(error) else 1


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a device or on the host, here or in the exception that this one came from."""
    seen: BaseException | None = error
    while seen is not None:
        named = isinstance(seen, MemoryError) or type(seen).__name__ == "OutOfMemoryError"  # torch's, not imported here
        said = isinstance(seen, RuntimeError) and any(sign in str(seen) for sign in _OUT_OF_MEMORY)
        if named or said or (isinstance(seen, OSError) and seen.errno == errno.ENOMEM):
            return True
        seen = seen.__cause__
    return False
