import time
from dataclasses import replace

import pytest

from rmbg_service.errors import DeadlineExceeded
from rmbg_service.imaging.cutout import Cutout
from rmbg_service.imaging.encode import ENCODERS
from rmbg_service.imaging.probe import probe
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.serving.job import Abandoned, CodecWork
from tests.fakes import FakePredictor, picture_bytes


@pytest.mark.parametrize("reason", [Abandoned, DeadlineExceeded])
def test_no_smaller_file_is_written_for_nobody(
    reason: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is to have few bytes is written again and again."""
    data, predictor = picture_bytes(), FakePredictor()
    options = RemovalOptions(format="jpeg", max_bytes=1)
    work = CodecWork(
        data=data, info=probe(data, 10_000), options=options, deadline=time.monotonic() + 60
    )
    written = 0

    def write(*_: Cutout | int) -> bytes:
        nonlocal written
        written += 1
        if reason is Abandoned:
            work.abandoned = True
        else:
            work.deadline = 0.0
        return bytes(100)

    monkeypatch.setitem(ENCODERS, "jpeg", replace(ENCODERS["jpeg"], write=write))
    passes = work.run(predictor.input_size, 10_000)
    mattes = predictor.predict(next(passes))
    with pytest.raises(reason):
        passes.send(mattes)
    assert written == 1
