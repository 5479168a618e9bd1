"""The error of the command line."""


class ShopError(Exception):
    """One line with what to do next, printed on stderr; the process exits with `exit_code`."""

    exit_code = 1
