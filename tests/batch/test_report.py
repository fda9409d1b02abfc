import json
import re
import sys
from pathlib import Path

import pytest

from rmbg_service.batch.report import Report
from rmbg_service.batch.run import Result, Status
from rmbg_service.types import Box

OUTPUTS = [Path("out/a-jd.jpg"), Path("out/a-ebay.jpg")]
DONE = Result(Path("a.jpg"), OUTPUTS, Status.DONE, 0.1234, Box(1, 2, 4, 6))
FAILED = Result(Path("b.jpg"), (), Status.FAILED, error="not an [image]")


def test_each_result_is_a_line_of_json_and_only_that_is_on_stdout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Report(2, as_json=True) as report:
        report.add(DONE)
        report.add(FAILED)
    report.summarise()
    out, err = capsys.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == [
        {
            "input": "a.jpg",
            "output": "out/a-jd.jpg",
            "outputs": ["out/a-jd.jpg", "out/a-ebay.jpg"],
            "status": "done",
            "ms": 123.4,
            "box": {"left": 1, "top": 2, "width": 3, "height": 4},
            "error": None,
        },
        {
            "input": "b.jpg",
            "output": None,
            "outputs": [],
            "status": "failed",
            "ms": 0.0,
            "box": None,
            "error": "not an [image]",
        },
    ]
    assert "failed: b.jpg: not an [image]" in err
    assert err.splitlines()[-1].split()[:3] == ["1", "0", "1"]
    assert report.failed


def test_a_later_success_of_the_same_input_undoes_its_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Report(None) as report:
        report.add(FAILED)
        report.add(FAILED)
        assert report.failed
        report.add(DONE)
        assert report.failed
        report.add(Result(FAILED.source, [Path("out/b.png")], Status.DONE))
    report.summarise()
    assert not report.failed
    assert capsys.readouterr().err.splitlines()[-1].split()[:3] == ["2", "0", "0"]


def test_the_summary_says_where_the_outputs_are(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(1)
    report.add(DONE)
    report.summarise(Path("out"))
    assert capsys.readouterr().err.startswith("written to out\ndone ")


def test_the_summary_says_why_nothing_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(1)
    report.add(Result(Path("a.jpg"), OUTPUTS, Status.SKIPPED))
    report.summarise(Path("out"))
    said = capsys.readouterr().err
    assert said.startswith("nothing to do: finished by an earlier run; --force ")
    assert "written to" not in said


@pytest.mark.parametrize("colour", ["", "1"])
def test_off_a_terminal_there_is_no_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, colour: str
) -> None:
    monkeypatch.setenv("FORCE_COLOR", colour)  # as on many build servers
    with Report(1) as report:
        report.add(DONE)
    assert capsys.readouterr() == ("", "")
    assert not report.failed


def test_on_a_terminal_the_bar_shows_rate_and_remaining_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with Report(4, as_json=True) as report:
        for _ in range(3):
            report.add(DONE)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert "3/4" in err
    assert "/s" in err
    assert "0:00:0" in err


def test_names_that_are_no_text_are_shown_and_come_through_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    with Report(1, as_json=True) as report:
        report.add(Result(Path(name), (), Status.FAILED, error="no"))
    out, err = capsys.readouterr()
    assert json.loads(out)["input"] == name
    assert "caf\ufffd.jpg" in err


@pytest.mark.parametrize("announced", [None, 39, 40, 41])
def test_the_bar_of_one_file_ends_at_its_own_number(
    announced: int | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with Report(None, unit="frames") as report:
        report.expect(announced)
        for _ in range(40):
            report.advance()
        report.add(DONE)
    report.summarise()
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert "41/" not in shown
    lines = [line for line in re.split(r"[\r\n]+", shown) if line.strip()]
    assert "40/40" in lines[-2]
    assert re.fullmatch(r"40 frames in \d+\.\d s, \d+\.\d\d s each", lines[-1])
