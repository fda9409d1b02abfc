import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rmbg_service.errors import DeviceFailure
from rmbg_service.evaluation.dataset import load_matte, load_shadow, read_dataset, sample_digest
from rmbg_service.evaluation.measures import measure
from rmbg_service.evaluation.records import MEASURES, read_records
from rmbg_service.evaluation.run import result_folders, run
from rmbg_service.types import Matte
from tests.evaluation.data import Scripted, make_dataset


def moved(truth: Matte) -> Matte:
    return np.roll(truth, 3, axis=1)


def test_a_row_has_the_measures_by_their_names(tmp_path: Path) -> None:
    samples = make_dataset(tmp_path)
    outcome = run(Scripted(moved).candidate, samples, tmp_path / "out")
    with (tmp_path / "out/per_image.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[: len(MEASURES) + 1] == ["id", *MEASURES]
    assert [row["id"] for row in rows] == ["p0", "p1", "p2"]
    truth = load_matte(samples[1].alpha)
    shadow = load_shadow(tmp_path / "p1_shadow.png")
    expected = measure(moved(truth), truth, shadow=shadow)
    for name, value in expected.items():
        written = rows[1][name]
        assert float(written or "nan") == pytest.approx(value, rel=1e-5, nan_ok=True), name
    assert rows[1]["seconds"] == "0.5"
    assert rows[1]["tags"] == "hair toy"
    assert not outcome.failures
    assert len(outcome.records) == 3


def test_the_matte_is_kept(tmp_path: Path) -> None:
    samples = make_dataset(tmp_path)
    run(Scripted(moved).candidate, samples, tmp_path / "out")
    kept = load_matte(tmp_path / "out/mattes/p2.png")
    np.testing.assert_allclose(kept, moved(load_matte(samples[2].alpha)), atol=0.002)


def test_a_second_run_judges_nothing_and_loads_no_model(tmp_path: Path) -> None:
    samples = make_dataset(tmp_path)
    scripted = Scripted()
    first = run(scripted.candidate, samples, tmp_path / "out")
    second = run(scripted.candidate, samples, tmp_path / "out")
    assert scripted.opened == 1
    assert [r.id for r in second.records] == [r.id for r in first.records]
    assert [r.key for r in second.records] == [r.key for r in first.records]
    assert second.records[0].values == pytest.approx(
        dict(first.records[0].values), rel=1e-5, nan_ok=True
    )


@pytest.mark.parametrize("changed", ["p1.png", "p1_alpha.png", "out/mattes/p1.png"])
def test_what_has_changed_is_judged_again(tmp_path: Path, changed: str) -> None:
    samples = make_dataset(tmp_path)
    scripted = Scripted()
    run(scripted.candidate, samples, tmp_path / "out")
    scripted.asked.clear()
    if changed.startswith("out"):
        (tmp_path / changed).unlink()
    else:
        (tmp_path / changed).write_bytes((tmp_path / changed.replace("1", "2")).read_bytes())
    sample_digest.cache_clear()
    run(scripted.candidate, samples, tmp_path / "out")
    assert scripted.asked == ["p1"]


def test_another_version_of_the_candidate_is_judged_from_the_start(tmp_path: Path) -> None:
    samples = make_dataset(tmp_path)
    scripted = Scripted()
    run(scripted.candidate, samples, tmp_path / "out")
    scripted.version = "2"
    outcome = run(scripted.candidate, samples, tmp_path / "out")
    assert scripted.asked == ["p0", "p1", "p2"] * 2
    assert len(outcome.records) == len(read_records(tmp_path / "out/per_image.csv")) == 3


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    samples = make_dataset(tmp_path)
    done = 0

    def interrupt_after_two() -> None:
        nonlocal done
        done += 1
        if done == 2:
            raise KeyboardInterrupt

    scripted = Scripted()
    with pytest.raises(KeyboardInterrupt):
        run(scripted.candidate, samples, tmp_path / "out", interrupt_after_two)
    table = tmp_path / "out/per_image.csv"
    assert [record.id for record in read_records(table)] == ["p0", "p1"]
    with table.open("a") as file:
        file.write("p2,0.9,0.")  # a row cut off by a harder end
    outcome = run(scripted.candidate, samples, tmp_path / "out")
    assert scripted.asked == ["p0", "p1", "p2"]
    assert [record.id for record in outcome.records] == ["p0", "p1", "p2"]
    assert len(table.read_text().splitlines()) == 4


@pytest.mark.parametrize(
    "saved",
    [
        lambda text: "\ufeff" + text,  # as a spreadsheet saves it
        lambda text: text.replace(",", ";"),
        lambda text: text.replace("0.", "zero."),
        lambda text: text.replace("gt_kind", "kind"),
    ],
)
def test_a_table_that_another_program_has_saved_is_made_again(
    tmp_path: Path, saved: Callable[[str], str]
) -> None:
    samples = make_dataset(tmp_path)
    table = tmp_path / "out/per_image.csv"
    run(Scripted(moved).candidate, samples, tmp_path / "out")
    whole = table.read_text()
    table.write_text(saved(whole))
    assert saved(whole) != whole
    run(Scripted(moved).candidate, samples, tmp_path / "out")
    assert [row.id for row in read_records(table)] == [sample.id for sample in samples]


def test_a_broken_truth_and_a_wrong_size_are_noted_and_the_rest_is_judged(tmp_path: Path) -> None:
    samples = make_dataset(tmp_path)
    (tmp_path / "p0_alpha.png").write_bytes(b"no picture")
    scripted = Scripted(lambda truth: truth[:, 10:] if truth.sum() > 4000 else truth)
    outcome = run(scripted.candidate, samples, tmp_path / "out")
    assert [failure.id for failure in outcome.failures] == ["p0", "p2"]
    assert "cannot identify" in outcome.failures[0].error
    assert "prediction has 150 x 120 px, the truth 160 x 120" in outcome.failures[1].error
    assert [record.id for record in outcome.records] == ["p1"]


@pytest.mark.parametrize(
    ("photo", "says"), [(b"no picture", "cannot identify"), (None, "photo has 5 x 5 px")]
)
def test_a_photo_that_the_report_could_not_show_is_noted(
    tmp_path: Path, photo: bytes | None, says: str
) -> None:
    samples = make_dataset(tmp_path)
    if photo is None:
        Image.new("RGB", (5, 5)).save(tmp_path / "p0.png")
    else:
        (tmp_path / "p0.png").write_bytes(photo)
    outcome = run(Scripted().candidate, samples, tmp_path / "out")
    (failure,) = outcome.failures
    assert failure.id == "p0"
    assert says in failure.error


def test_a_lost_device_ends_the_run(tmp_path: Path) -> None:
    def lose(truth: Matte) -> Matte:
        raise DeviceFailure("gone")

    with pytest.raises(DeviceFailure):
        run(Scripted(lose).candidate, make_dataset(tmp_path), tmp_path / "out")


def test_fewer_samples_leave_only_their_rows(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    samples = read_dataset(tmp_path)
    run(Scripted().candidate, samples, tmp_path / "out")
    run(Scripted().candidate, samples[:1], tmp_path / "out")
    assert [record.id for record in read_records(tmp_path / "out/per_image.csv")] == ["p0"]


def test_rows_of_the_rest_of_the_dataset_stay_while_they_hold(tmp_path: Path) -> None:
    samples = make_dataset(tmp_path)
    table = tmp_path / "out/per_image.csv"
    run(Scripted().candidate, samples, tmp_path / "out")
    (tmp_path / "p2.png").write_bytes((tmp_path / "p1.png").read_bytes())
    sample_digest.cache_clear()
    outcome = run(Scripted().candidate, samples[1:2], tmp_path / "out", dataset=samples)
    assert [record.id for record in outcome.records] == ["p1"]
    assert [record.id for record in read_records(table)] == ["p0", "p1"]
    run(Scripted().candidate, samples[1:2], tmp_path / "out", dataset=samples[1:])
    assert [record.id for record in read_records(table)] == ["p1"]


def test_one_alone_has_the_folder_and_several_have_their_own(tmp_path: Path) -> None:
    a, b = Scripted(name="a").candidate, Scripted(name="b").candidate
    samples = make_dataset(tmp_path / "data")
    out = tmp_path / "out"
    assert result_folders([a], samples, out) == [out]
    assert result_folders([a, b], samples, out) == [out / "a", out / "b"]


def test_what_was_judged_alone_moves_with_its_candidate_and_stays(tmp_path: Path) -> None:
    a, b, c = (Scripted(name=name) for name in "abc")
    b.version, c.version = "2", "3"
    samples = make_dataset(tmp_path / "data")
    out = tmp_path / "out"
    run(b.candidate, samples, out)
    result_folders([a.candidate, c.candidate], samples, out)
    assert (out / "per_image.csv").is_file()
    own = result_folders([a.candidate, b.candidate], samples, out)
    assert sorted(path.name for path in out.iterdir()) == ["b"]
    run(b.candidate, samples, own[1])
    assert b.opened == 1
    assert result_folders([b.candidate], samples, out) == [out / "b"]
