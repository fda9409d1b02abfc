from pathlib import Path

import pytest

from rmbg_service.video.sequence import FrameNames, is_numbered


@pytest.mark.parametrize("name", ["f%d.png", "%05d.png", "a-%3d-b.png"])
def test_one_number_makes_a_pattern(name: str) -> None:
    assert is_numbered(name)


@pytest.mark.parametrize("name", ["f.png", "%d-%d.png", "f%x.png", "100%-%d.png", "%s.png"])
def test_anything_else_does_not(name: str) -> None:
    assert not is_numbered(name)


def test_only_names_that_the_pattern_would_give_are_there(tmp_path: Path) -> None:
    names = FrameNames(tmp_path / "f[1]-%03d.png")
    assert FrameNames(tmp_path / "none" / "%d.png").existing() == {}
    for name in ("f[1]-001.png", "f[1]-1000.png", "f[1]-1.png", "f1-002.png", "f[1]-abc.png"):
        (tmp_path / name).touch()
    assert names.existing() == {1: names.path(1), 1000: names.path(1000)}
