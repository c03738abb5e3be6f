"""Errors that a person can act on: the command line prints the message alone and exits with `exit_code`."""


class AigcError(Exception):
    """Something failed for a reason that one or two lines can say."""

    exit_code = 1


class InputError(AigcError):
    """Something a person gave is wrong; the message says what, where, what is allowed, what to do."""

    exit_code = 2


class InterruptedRun(AigcError):
    """A person stopped the run; the checkpoint was kept."""

    exit_code = 130


class PreemptedRun(AigcError):
    """The machine asked the run to end; it can go on from its checkpoint."""

    exit_code = 75


class DivergedRun(AigcError):
    """The loss is no longer a finite number."""

    exit_code = 3


def exit_code(error: BaseException) -> int:
    """What a process ends with after this exception."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which is not imported here
        return 4
    return error.exit_code if isinstance(error, AigcError) else 1
