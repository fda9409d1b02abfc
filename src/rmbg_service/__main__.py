"""The command line: `rmbg-service`, or `python -m rmbg_service`."""

import os
import signal
import sys
from pathlib import Path


def main() -> None:
    """Entry point; Ctrl+C while the modules are imported ends the process without a traceback."""
    _replace_closed_streams()
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # ignored in background jobs of a shell
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from rmbg_service.cli import main as command_line

    signal.signal(signal.SIGINT, handler)
    command_line()


def _replace_closed_streams() -> None:
    """Let stdin, stdout and stderr lead to the null device if the caller has closed them.

    Python has None for them then, and the next file that is opened would get their descriptor: what
    a library prints would be written into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode)  # noqa: SIM115 - for as long as the process lives
            setattr(sys, name, stream)


if __name__ == "__main__":
    main()
