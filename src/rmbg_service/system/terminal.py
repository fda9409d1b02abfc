"""What is shown on stderr."""

import sys

from rich.console import Console


def stderr_console() -> Console:
    """The console of stderr; a progress bar moves there only if it is a terminal.

    `FORCE_COLOR` would make rich take a pipe for one, and a log would hold every step of the bar.
    """
    return Console(stderr=True, force_terminal=sys.stderr.isatty())
