"""The command line: `rmbg-service`, or `python -m rmbg_service`."""

import signal


def main() -> None:
    """Entry point; Ctrl+C while the modules are imported ends the process without a traceback."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # ignored in background jobs of a shell
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from rmbg_service.cli import main as command_line

    signal.signal(signal.SIGINT, handler)
    command_line()


if __name__ == "__main__":
    main()
