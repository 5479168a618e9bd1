"""Progress of work that is counted: a bar."""

from rich import progress as bars
from rich.console import Console


def counting(console: Console) -> bars.Progress:
    """A bar that says how many of how many, and goes when it is full."""
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
    )
    return bars.Progress(*columns, console=console, transient=True)
