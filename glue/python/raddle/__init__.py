"""Native threads and Python, kept apart: the Python side of raddle."""

#: Whether :mod:`raddle.weave` may be used. What it offers may still change.
ENABLE_EXPERIMENTAL: bool = False
