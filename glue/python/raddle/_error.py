"""raddle.GError: what a GLib function reports, where PyGObject is not there to say it.

Its three parts are those of PyGObject's ``GLib.Error`` and made in the same order, so code that catches or
raises the one can be written for the other; native code takes either.
"""

from __future__ import annotations


class GError(RuntimeError):
    """What a GLib function reports: the error's domain, code and message.

    One that is raised without a domain is a Python exception like any other.
    """

    __module__ = "raddle"

    def __init__(self, message: str = "", domain: str | None = None, code: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.domain = domain
        self.code = code

    def __str__(self) -> str:
        return self.message if self.domain is None else f"{self.domain}: {self.message} ({self.code})"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, {self.domain!r}, {self.code!r})"
