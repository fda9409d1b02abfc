import asyncio
import signal

import pytest

from rmbg_service.batch.stop import DROP_S, stop_on_signals


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int]]:
    """What the end of the process was limited to."""
    limits: list[tuple[float, int]] = []
    monkeypatch.setattr("rmbg_service.batch.stop.exit_after", lambda *limit: limits.append(limit))
    return limits


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_asks_and_the_second_cancels_and_limits_the_end(
    number: signal.Signals, limits: list[tuple[float, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        signal.raise_signal(number)
        await stop.event.wait()
        assert stop.signal == number
        assert "interrupt again" in capsys.readouterr().err
        assert limits == []
        signal.raise_signal(number)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.Event().wait()
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
        assert limits == [(DROP_S, 128 + number)]
    assert signal.getsignal(number) is before
