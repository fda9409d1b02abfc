from pathlib import Path

from rmbg_service.evaluation.places import places
from rmbg_service.evaluation.run import run
from tests.evaluation.data import Scripted, make_dataset


def test_one_alone_has_the_folder_and_several_have_their_own(tmp_path: Path) -> None:
    a, b = Scripted(name="a").candidate, Scripted(name="b").candidate
    samples = make_dataset(tmp_path / "data")
    out = tmp_path / "out"
    assert places([a], samples, out) == [out]
    assert places([a, b], samples, out) == [out / "a", out / "b"]


def test_what_was_judged_alone_moves_with_its_candidate_and_stays(tmp_path: Path) -> None:
    a, b, c = (Scripted(name=name) for name in "abc")
    b.version, c.version = "2", "3"
    samples = make_dataset(tmp_path / "data")
    out = tmp_path / "out"
    run(b.candidate, samples, out)
    places([a.candidate, c.candidate], samples, out)
    assert (out / "per_image.csv").is_file()
    own = places([a.candidate, b.candidate], samples, out)
    assert sorted(path.name for path in out.iterdir()) == ["b"]
    run(b.candidate, samples, own[1])
    assert b.opened == 1
    assert places([b.candidate], samples, out) == [out / "b"]
