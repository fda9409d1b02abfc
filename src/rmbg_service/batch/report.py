"""The output of a run: lines of JSON for scripts, a progress bar and a table for people."""

import json
import os
import sys
import time
from collections import Counter
from typing import Self

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from rmbg_service.batch.run import Location, Result, Status
from rmbg_service.system.stdout import try_to_write
from rmbg_service.system.terminal import stderr_console


class Report:
    """Counts results; a context manager, during which the progress bar moves.

    The bar is on stderr, only if that is a terminal, and stays there at the end. It counts files,
    or parts of one file that `unit` names, each reported by `advance`. With `as_json`, every result
    is also a line on stdout: `input`, `output` (the first of `outputs`), `outputs`, `status`, `ms`,
    `box`, `error`. If the reader closes stdout, the lines end and the run goes on; other errors of
    stdout are raised. Only the last result of an input counts: a later success replaces a failure.
    """

    def __init__(self, total: int | None, *, as_json: bool = False, unit: str = "files") -> None:
        self.counts: Counter[Status] = Counter()
        self._failing: set[Location] = set()
        self._as_json = as_json
        self._stdout = sys.stdout
        self._console = stderr_console()
        self._started = time.perf_counter()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            redirect_stdout=False,
        )
        self._task = self._bar.add_task(unit, total=total)
        self._unit = unit
        self._parts = 0

    def __enter__(self) -> Self:
        """Show the progress bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the progress bar."""
        self._bar.stop()

    @property
    def failed(self) -> bool:
        """Whether any file has failed and not succeeded later."""
        return bool(self._failing)

    def advance(self) -> None:
        """Count one more as finished."""
        self._parts += 1
        self._bar.advance(self._task)

    def expect(self, total: int | None) -> None:
        """Set how many there will be."""
        self._bar.update(self._task, total=total)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(escape(text), soft_wrap=True, highlight=False, emoji=False)

    def add(self, result: Result) -> None:
        """Count a result and print it."""
        if result.source in self._failing:
            self._failing.remove(result.source)
            self.counts[Status.FAILED] -= 1
        self.counts[result.status] += 1
        if self._unit == "files":
            self.advance()
        elif result.status is Status.DONE:  # the number that the file declares may be an estimate
            self.expect(self._parts)
        if result.status is Status.FAILED:
            self._failing.add(result.source)
            self.say(f"failed: {_shown(result.source)}: {result.error}")
        if self._as_json:
            self._write(json.dumps(_members(result)) + "\n")

    def _write(self, line: str) -> None:
        error = try_to_write(self._stdout, line)
        if isinstance(error, BrokenPipeError):
            self._as_json = False
            self.say("stdout was closed: no more lines of JSON; the run goes on")
        elif error is not None:
            raise error

    def summarise(self, destination: Location | None = None) -> None:
        """Print where the outputs are and the final table, or for the parts of one file a line."""
        seconds = time.perf_counter() - self._started
        done = self.counts[Status.DONE]
        if done and destination is not None:
            self.say(f"written to {_shown(destination)}")
        if self._unit != "files":
            each = f", {seconds / self._parts:.2f} s each" if self._parts else ""
            unit = self._unit.removesuffix("s") if self._parts == 1 else self._unit
            self.say(f"{self._parts} {unit} in {seconds:.1f} s{each}")
            return
        if self.counts[Status.SKIPPED] and not done and not self.failed:
            self.say("nothing to do: finished by an earlier run; --force processes it again")
        table = Table(box=None, pad_edge=False)
        for status in Status:
            table.add_column(status.value, justify="right")
        table.add_column("time", justify="right")
        table.add_column("done per second", justify="right")
        counts = [str(self.counts[status]) for status in Status]
        table.add_row(*counts, f"{seconds:.1f} s", f"{done / seconds:.2f}" if done else "")
        self._console.print(table)


class _Rate(ProgressColumn):
    """The recent rate: so many a second, or seconds for each."""

    def render(self, task: Task) -> Text:
        if not task.speed:
            return Text("")
        return Text(f"{task.speed:.1f}/s" if task.speed >= 1 else f"{1 / task.speed:.1f} s each")


def _members(result: Result) -> dict[str, object]:
    box = result.box
    outputs = [str(output) for output in result.outputs]
    return {
        "input": str(result.source),
        "output": outputs[0] if outputs else None,
        "outputs": outputs,
        "status": result.status.value,
        "ms": round(result.seconds * 1e3, 1),
        "box": box and {"left": box.left, "top": box.top, "width": box.width, "height": box.height},
        "error": result.error or None,
    }


def _shown(path: Location) -> str:
    """A path that is safe to print: some are not text, some contain terminal escape codes."""
    name = os.fsencode(path).decode("utf-8", "replace")
    return "".join(mark if mark.isprintable() else repr(mark)[1:-1] for mark in name)
