# SPDX-License-Identifier: Apache-2.0
"""Exceptions of the engine. Each is also the built-in exception that means the same, where there is one.

Messages read `<what>: <value seen>, expected <...>`. Unless its description says otherwise, the call that
raised has changed nothing.
"""


class TriviumError(Exception):
    """Base of all; itself raised when an encoder fails (its exception is the `__cause__`) or on a defect."""

    def __str__(self) -> str:  # KeyError would put quotes around it
        return str(self.args[0]) if self.args else ""


class InvalidArgument(TriviumError, ValueError):
    """Input that is wrong: a shape, a range, a name, a malformed filter, a vector that is not finite."""


class NotFound(TriviumError, KeyError):
    """No such store, space, expert, partition or document."""


class AlreadyExists(TriviumError, ValueError):
    """A space, expert, document (on_conflict="error") or directory that is there already."""


class DataLoss(TriviumError):
    """A damaged file, which the message names."""


class StoreLocked(TriviumError):
    """Another process, or another Store of this one, has the store open for writing."""


class ResourceExhausted(TriviumError):
    """Out of disk space or memory."""


class FailedPrecondition(TriviumError, RuntimeError):
    """The store is closed, read-only, or lacks an encoder that was needed."""


class PermissionDenied(TriviumError, PermissionError):
    """The file system refuses access."""


class Cancelled(TriviumError):
    """The call was stopped from outside."""


class DeadlineExceeded(TriviumError, TimeoutError):
    """The search took longer than its `timeout`."""
