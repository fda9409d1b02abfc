"""Codec processes, alone and under the service: real processes, each about a second to start."""

import asyncio
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from rmbg_service.errors import DeadlineExceeded, InvalidImage, OutOfMemory
from rmbg_service.imaging.probe import probe
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.passes import Passes
from rmbg_service.removal.result import Encoded
from rmbg_service.serving.codec import child
from rmbg_service.serving.codec import process as codec_process
from rmbg_service.serving.codec.process import CodecProcess
from rmbg_service.serving.fair_share import FairShare, Visit
from rmbg_service.serving.job import Abandoned, Job
from rmbg_service.serving.state import State
from rmbg_service.settings import Settings
from tests.fakes import PATH, FakePredictor, picture_bytes, serving, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such processes")

PNG = picture_bytes()
PNG_HEADERS = {"content-type": "image/png"}
SIZES = FakePredictor.input_size, 10_000


def a_job(data: bytes = PNG, deadline_s: float = 60, **options: object) -> Job:
    return Job(
        data=data,
        info=probe(PNG, 10_000),
        options=RemovalOptions.model_validate(options),
        deadline=time.monotonic() + deadline_s,
        visit=Visit(FairShare(), "a client"),
    )


@pytest.fixture(scope="module")
def process() -> Iterator[CodecProcess]:
    process = CodecProcess(1)
    yield process
    process.close()


def finish(process: CodecProcess, job: Job) -> Encoded:
    inputs = process.advance(job, *SIZES, None)
    assert not isinstance(inputs, Encoded)
    encoded = process.advance(job, *SIZES, FakePredictor().predict(inputs))
    assert isinstance(encoded, Encoded)
    return encoded


async def test_responses_are_the_same_as_from_threads(pids: list[int]) -> None:
    strokes = BytesIO()
    Image.new("LA", (80, 60)).save(strokes, "PNG")
    files = {
        "image": ("a.png", picture_bytes((80, 60)), "image/png"),
        "background_image": ("b.png", picture_bytes((30, 30)), "image/png"),
        "strokes": ("c.png", strokes.getvalue(), "image/png"),
    }
    responses: list[object] = []
    for processes in ("off", "on"):
        async with serving(codec_processes=processes, codec_threads=1) as (client, _):
            for form in ({}, {"format": "webp", "strokes_mode": "exact"}):
                response = await client.post(
                    PATH, files=files, data=form, headers={"accept": "image/*"}
                )
                assert response.status_code == 200
                for stage in ("decode", "queue", "predict", "refine", "encode"):
                    assert f"{stage};dur=" in response.headers["server-timing"]
                responses.append(response.content)
            headers = PNG_HEADERS | {"accept-language": "zh"}
            response = await client.post(PATH, content=PNG[:-30], headers=headers)
            assert response.status_code == 422
            responses.append(response.json()["detail"])
    assert responses[:3] == responses[3:]
    assert len(pids) == 1


def test_a_job_reports_its_stages_and_is_forgotten_when_done(process: CodecProcess) -> None:
    job = a_job()
    assert finish(process, job).width == 64
    assert job.data == b""
    assert list(job.timings.seconds) == ["decode", "refine", "encode"]
    assert job.timings.stage == "encode"
    assert process.usable


def test_a_job_that_is_not_resumed_leaves_the_process_usable(process: CodecProcess) -> None:
    process.advance(a_job(), *SIZES, None)
    process.forget()
    assert finish(process, a_job()).width == 64


def test_nobody_works_on_for_a_client_that_has_left(process: CodecProcess) -> None:
    job = a_job()
    inputs = process.advance(job, *SIZES, None)
    assert not isinstance(inputs, Encoded)
    job.abandoned = True
    with pytest.raises(Abandoned):
        process.advance(job, *SIZES, FakePredictor().predict(inputs))
    assert list(job.timings.seconds) == ["decode"]
    with pytest.raises(DeadlineExceeded):
        process.advance(a_job(deadline_s=-1), *SIZES, None)
    assert process.usable


def test_errors_come_back_with_their_messages(process: CodecProcess) -> None:
    with pytest.raises(InvalidImage) as refused:
        process.advance(a_job(PNG[:-30]), *SIZES, None)
    assert refused.value.message.text("zh-CN") != str(refused.value)
    broken = a_job()
    broken.options = None  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match=r"in run\n(.*\n)*AttributeError: "):  # for the log
        process.advance(broken, *SIZES, None)
    assert process.usable


def test_an_error_that_cannot_be_pickled_comes_back() -> None:
    def broken() -> Passes[Encoded]:
        raise ValueError(threading.Lock())
        yield

    answer = pickle.loads(pickle.dumps(child._step(broken(), None)))
    assert isinstance(answer, RuntimeError)
    assert "ValueError: <unlocked" in str(answer)


def test_a_signal_to_the_whole_group_is_left_to_the_service(process: CodecProcess) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(process.pid, number)
    assert finish(process, a_job()).width == 64


def test_a_process_that_starts_leaves_such_signals_to_the_service() -> None:
    process = CodecProcess(1)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(process.pid, number)
    process.wait_until_ready()
    process.close()


@pytest.mark.parametrize("begun", [b"", b"\0\0\1\0half a message"])
def test_a_process_ends_when_the_service_is_gone(
    begun: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    process = CodecProcess(1)
    os.write(process._pipe.fileno(), begun)
    process._pipe.close()  # as the system does it for a service that is killed
    assert process._process.wait(60) == 0
    assert capfd.readouterr() == ("", "")


def test_a_process_that_is_killed_in_the_middle_of_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = """\
import os, signal, sys
socket = int(sys.argv[1])
os.read(socket, 100_000)
os.write(socket, b"\\0\\0\\1\\0half a message")
os.kill(os.getpid(), signal.SIGKILL)
"""
    monkeypatch.setattr(codec_process, "_CHILD", program)
    process = CodecProcess(1)
    with pytest.raises(OutOfMemory):
        process.advance(a_job(), *SIZES, None)
    process.close()


def test_a_process_imports_what_the_service_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here.py").write_text(
        "import os, sys; os.write(int(sys.argv[1]), b'\\0\\0\\0\\2N.')"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    monkeypatch.setattr(codec_process, "_CHILD", "import here")
    process = CodecProcess(1)
    process.wait_until_ready()
    process.close()


@pytest.mark.parametrize(
    ("number", "status", "kind"),
    [
        (signal.SIGSEGV, 500, "internal-error"),
        (signal.SIGKILL, 503, "out-of-memory"),  # what the kernel sends when memory runs out
    ],
)
async def test_a_crash_costs_one_image_only(
    number: signal.Signals, status: int, kind: str, pids: list[int]
) -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor, codec_processes="on", codec_threads=1) as (client, engine):
        post = asyncio.create_task(client.post(PATH, content=PNG, headers=PNG_HEADERS))
        await predictor.wait_until_entered()
        os.kill(pids[-1], number)
        predictor.gate.set()
        response = await post
        assert (response.status_code, response.json()["type"]) == (status, kind)
        assert engine.state is State.READY
        assert engine.budget.pixels == 0
        response = await client.post(PATH, content=PNG, headers=PNG_HEADERS)
        assert response.status_code == 200
        assert len(pids) == 2


async def test_a_process_that_dies_idle_costs_nothing(pids: list[int]) -> None:
    async with serving(codec_processes="on", codec_threads=1) as (client, _):
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert (await client.post(PATH, content=PNG, headers=PNG_HEADERS)).status_code == 200
        assert len(pids) == 2


async def test_a_process_that_cannot_be_replaced_is_no_memory(
    pids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(codec_processes="on", codec_threads=1) as (client, engine):
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with monkeypatch.context() as patched:
            patched.setattr(sys, "executable", "/does/not/exist")
            response = await client.post(PATH, content=PNG, headers=PNG_HEADERS)
            assert (response.status_code, response.json()["type"]) == (503, "out-of-memory")
        assert engine.budget.pixels == 0
        assert (await client.post(PATH, content=PNG, headers=PNG_HEADERS)).status_code == 200


async def test_a_process_that_never_answers_is_replaced(
    pids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor, codec_processes="on", codec_threads=1) as (client, engine):
        post = asyncio.create_task(client.post(PATH, content=PNG, headers=PNG_HEADERS))
        await predictor.wait_until_entered()
        os.kill(pids[-1], signal.SIGSTOP)
        with monkeypatch.context() as patched:
            patched.setattr(engine._codec_pool, "_timeout_s", 0.01)
            predictor.gate.set()
            assert (await post).status_code == 504
        await until(lambda: engine.stuck_threads == 0)
        assert engine.budget.pixels == 0
        with pytest.raises(ProcessLookupError):
            os.kill(pids[0], 0)
        assert (await client.post(PATH, content=PNG, headers=PNG_HEADERS)).status_code == 200


async def test_a_failed_prediction_leaves_its_process_usable(pids: list[int]) -> None:
    predictor = FakePredictor([RuntimeError("broken")])
    async with serving(predictor, codec_processes="on", codec_threads=1) as (client, _):
        assert (await client.post(PATH, content=PNG, headers=PNG_HEADERS)).status_code == 500
        assert (await client.post(PATH, content=PNG, headers=PNG_HEADERS)).status_code == 200
        assert len(pids) == 1


async def test_the_end_of_the_service_does_not_wait_for_a_process(
    pids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmbg_service.serving.engine.STOP_S", 0.1)
    predictor = FakePredictor(gated=True)
    async with serving(predictor, codec_processes="on", codec_threads=1) as (client, engine):
        post = asyncio.create_task(client.post(PATH, content=PNG, headers=PNG_HEADERS))
        await predictor.wait_until_entered()
        os.kill(pids[-1], signal.SIGSTOP)
        predictor.gate.set()
        await until(lambda: predictor.predicted == [1])
        await engine.stop()
        assert (await post).status_code == 503
    assert len(pids) == 1


@pytest.fixture
def pids(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that the service has started, in order: one for all images, and new ones."""
    monkeypatch.setattr(Settings, "max_decoded_images", 1)
    started: list[int] = []
    start = CodecProcess.__init__

    def note(self: CodecProcess, opencv_threads: int) -> None:
        start(self, opencv_threads)
        started.append(self.pid)

    monkeypatch.setattr(CodecProcess, "__init__", note)
    return started
