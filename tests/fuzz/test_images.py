"""Damaged files are decoded or refused, whatever the damage: `make fuzz` looks for longer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmbg_service.errors import ClientError
from rmbg_service.imaging.decode import decode
from rmbg_service.imaging.probe import probe
from tests.fuzz.corpus import corpus

FILES = corpus()
MAX_PIXELS = 1_000_000
SHORT = settings(max_examples=max(2_000, settings().max_examples), deadline=None, print_blob=True)

position = st.integers(0, 20_000)
value = st.sampled_from((b"\0", b"\1", b"\x7f", b"\x80", b"\xff", b"\0\0\0\0", b"\xff\xff\xff\xff"))
edits = st.one_of(
    st.tuples(st.just("set"), position, st.one_of(value, st.binary(min_size=1, max_size=4))),
    st.tuples(st.just("insert"), position, st.binary(min_size=1, max_size=16)),
    st.tuples(st.just("delete"), position, st.binary(min_size=1, max_size=16)),
    st.tuples(st.just("repeat"), position, st.binary(min_size=1, max_size=64)),
    st.tuples(st.just("cut"), position, st.just(b"")),
)


def damaged(data: bytes, edit: tuple[str, int, bytes]) -> bytes:
    """`data` after one edit; the length of the edit's bytes is how much it deletes or repeats."""
    kind, place, content = edit
    at = place % (len(data) + 1)
    before, after = data[:at], data[at:]
    return {
        "set": before + content + after[len(content) :],
        "insert": before + content + after,
        "delete": before + after[len(content) :],
        "repeat": before + after[: len(content)] + after,
        "cut": before,
    }[kind]


@SHORT
@given(name=st.sampled_from(sorted(FILES)), edits=st.lists(edits, min_size=1, max_size=6))
@pytest.mark.filterwarnings("ignore")  # Pillow warns about broken files
@pytest.mark.timeout(0)
def test_damaged_files_are_decoded_or_refused(
    name: str, edits: list[tuple[str, int, bytes]]
) -> None:
    data = FILES[name]
    for edit in edits:
        data = damaged(data, edit)
    try:
        info = probe(data, MAX_PIXELS)
        source = decode(data, info)
    except ClientError:
        return
    assert source.rgb.shape == (info.height, info.width, 3)
    assert source.rgb.dtype == np.uint8
    assert source.alpha is None or source.alpha.shape == source.rgb.shape[:2]


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_files_are_sound_before_they_are_damaged(name: str) -> None:
    info = probe(FILES[name], MAX_PIXELS)
    assert decode(FILES[name], info).rgb.shape[:2] == (info.height, info.width)
