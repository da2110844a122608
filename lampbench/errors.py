"""Errors whose message is meant for the person at the keyboard."""


class LampbenchError(Exception):
    """A mistake in the input: one line that names the place and the mend; exit code 2."""
