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
