"""What the command line tells the operator when it cannot do what was asked."""


class ShopError(Exception):
    """One line that says what to do next; printed on stderr, the process ends with `exit_code`."""

    exit_code = 1
