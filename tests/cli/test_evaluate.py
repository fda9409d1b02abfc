import csv
import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rmbg_service.cli import app, candidates
from rmbg_service.removal import remove as removal
from rmbg_service.settings import Settings
from tests.evaluation.data import make_dataset
from tests.fakes import FakePredictor

made: list[FakePredictor] = []


@pytest.fixture(autouse=True)
def fake_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model is a fake with the model's name."""

    def select(settings: Settings) -> FakePredictor:
        predictor = FakePredictor()
        predictor.name = settings.model.removesuffix(".onnx").rpartition("/")[2]
        made.append(predictor)
        return predictor

    made.clear()
    monkeypatch.setattr(candidates, "select_predictor", select)


def evaluate(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["evaluate", *map(str, arguments)])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def summary(out: Path) -> dict[str, list[dict[str, object]]]:
    loaded: dict[str, list[dict[str, object]]] = json.loads((out / "summary.json").read_text())
    return loaded


def names(out: Path) -> list[object]:
    return [model["name"] for model in summary(out)["models"]]


def test_one_model_on_a_dataset(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    out = tmp_path / "out"
    result = evaluate(tmp_path, "--model", "u2netp", "--out", out)
    assert result.exit_code == 0, result.output
    table = rows(out / "per_image.csv")
    assert [row["id"] for row in table] == ["p0", "p1", "p2"]
    for index, row in enumerate(table):  # the fake keeps the left half of the picture
        half_disc = math.pi * (30 + 4 * index) ** 2 / 2
        assert float(row["iou"]) == pytest.approx(half_disc / (120 * 80 + half_disc), abs=0.02)
    assert all(float(row["seconds"]) > 0 for row in table)
    assert names(out) == ["u2netp"]
    assert "<html" in (out / "report.html").read_text()
    assert "| all" in result.output
    assert made[0].closed


def test_a_second_run_predicts_nothing(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    for _ in range(2):
        assert evaluate(tmp_path, "--model", "u2netp", "--out", tmp_path / "out").exit_code == 0
    first, second = made
    assert len(first.predicted) >= 3
    assert second.predicted == []


def test_another_detail_is_another_run(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    for detail in ("off", "guided"):
        evaluate(tmp_path, "--model", "u2netp", "--detail", detail, "--out", tmp_path / "out")
    assert len(made[1].predicted) == len(made[0].predicted)


def test_models_side_by_side(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    out = tmp_path / "out"
    result = evaluate(
        tmp_path, "--model", "u2netp", "--compare", "other", "third", "--limit", "2", "--out", out
    )
    assert result.exit_code == 0, result.output
    assert names(out) == ["u2netp", "other", "third"]
    for name in names(out):
        assert [row["id"] for row in rows(out / str(name) / "per_image.csv")] == ["p0", "p1"]
    against = [comparison["against"] for comparison in summary(out)["comparisons"]]
    assert against == ["other", "third"]
    assert "Usable edge beside cast shadows" in result.output


def test_a_model_compared_with_itself_is_judged_once(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    evaluate(tmp_path, "--model", "u2netp", "--compare", "u2netp", "--out", tmp_path / "out")
    assert names(tmp_path / "out") == ["u2netp"]


def test_details_side_by_side(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    out = tmp_path / "out"
    result = evaluate(
        tmp_path, "--model", "u2netp", "--detail", "off", "--detail", "auto", "--out", out
    )
    assert result.exit_code == 0, result.output
    assert names(out) == ["u2netp-off", "u2netp-auto"]


def test_predictions_alone_need_no_model(tmp_path: Path) -> None:
    samples = make_dataset(tmp_path)
    ready = tmp_path / "other tool"
    ready.mkdir()
    for sample in samples:
        (ready / f"{sample.id}.png").write_bytes(sample.alpha.read_bytes())
    out = tmp_path / "out"
    assert evaluate(tmp_path, "--predictions", ready, "--out", out).exit_code == 0
    assert names(out) == ["other tool"]
    assert [row["uea"] for row in rows(out / "per_image.csv")] == ["1", "1", "1"]
    assert made == []


def test_predictions_beside_a_model_under_a_name(tmp_path: Path) -> None:
    samples = make_dataset(tmp_path)
    out = tmp_path / "out"
    (tmp_path / "ready").mkdir()
    for sample in samples[:2]:
        (tmp_path / "ready" / f"{sample.id}.png").write_bytes(sample.alpha.read_bytes())
    result = evaluate(
        tmp_path, "--model", "u2netp", "--predictions", f"tool={tmp_path}/ready", "--out", out
    )
    assert names(out) == ["u2netp", "tool"]
    assert result.exit_code == 1
    assert "tool on p2" in result.output
    (comparison,) = summary(out)["comparisons"]
    assert comparison["measures"]["iou"]["n"] == 2  # type: ignore[index]


def test_a_broken_photo_fails_the_command_after_the_rest_is_done(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    (tmp_path / "p1.png").write_bytes(b"\x89PNG broken")
    out = tmp_path / "out"
    result = evaluate(tmp_path, "--model", "u2netp", "--out", out)
    assert result.exit_code == 1
    assert "failed: u2netp on p1" in result.output
    assert [row["id"] for row in rows(out / "per_image.csv")] == ["p0", "p2"]
    assert list(summary(out)["models"][0]["failures"]) == ["p1"]  # type: ignore[call-overload]


def test_ctrl_c_keeps_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_dataset(tmp_path)
    out = tmp_path / "out"
    calls = 0
    remove = removal.remove_background

    def interrupted(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:  # the warm-up, p0, p1
            raise KeyboardInterrupt
        return remove(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(candidates, "remove_background", interrupted)
    result = evaluate(tmp_path, "--model", "u2netp", "--out", out)
    assert result.exit_code == 130
    assert "run the same command again" in result.output
    assert [row["id"] for row in rows(out / "per_image.csv")] == ["p0"]
    assert evaluate(tmp_path, "--model", "u2netp", "--out", out).exit_code == 0
    assert [row["id"] for row in rows(out / "per_image.csv")] == ["p0", "p1", "p2"]


def test_tags_and_ambiguous_photos(tmp_path: Path) -> None:
    make_dataset(tmp_path, ["hair", "toy", "hair"])
    manifest = tmp_path / "manifest.csv"
    lines = manifest.read_text().splitlines()
    flags = ["salient_unambiguous", "no", "yes", "yes"]
    manifest.write_text("\n".join(f"{a},{b}" for a, b in zip(lines, flags, strict=True)))

    def ids(*arguments: str) -> list[str]:
        out = tmp_path / "out"
        evaluate(tmp_path, "--model", "u2netp", "--out", out, *arguments)
        return [row["id"] for row in rows(out / "per_image.csv")]

    def counted(*arguments: str) -> int:
        out = tmp_path / "out"
        evaluate(tmp_path, "--model", "u2netp", "--out", out, *arguments)
        summary = json.loads((out / "summary.json").read_text())
        number: int = summary["models"][0]["tags"]["all"]["iou"]["n"]
        return number

    assert ids() == ["p0", "p1", "p2"]
    assert (counted(), counted("--keep-ambiguous")) == (2, 3)
    assert counted("--tag", "hair") == 1  # of p0 and p2, the first is ambiguous
    assert counted("--tag", "hair", "--tag", "toy") == 2


def test_what_was_judged_stays_when_fewer_photos_are_chosen(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    out = tmp_path / "out"
    evaluate(tmp_path, "--model", "u2netp", "--out", out)
    for choice in (["--limit", "1"], ["--tag", "toy"]):
        assert evaluate(tmp_path, "--model", "u2netp", "--out", out, *choice).exit_code == 0
        assert [row["id"] for row in rows(out / "per_image.csv")] == ["p0", "p1", "p2"]
        assert [model["images"] for model in summary(out)["models"]] == [1]
    evaluate(tmp_path, "--model", "u2netp", "--out", out)
    assert [bool(one.predicted) for one in made] == [True, False, False, False]


def test_a_model_that_is_compared_later_is_not_judged_again(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    out = tmp_path / "out"
    alone = ("--model", "u2netp", "--out", out)
    for arguments in (alone, (*alone, "--compare", "other"), alone):
        assert evaluate(tmp_path, *arguments).exit_code == 0
    assert [(one.name, bool(one.predicted)) for one in made] == [
        ("u2netp", True),
        ("u2netp", False),
        ("other", True),
        ("u2netp", False),
    ]
    files = {path.relative_to(out).as_posix() for path in out.rglob("*.*")}
    tables = {f"{name}/per_image.csv" for name in ("u2netp", "other")}
    mattes = {f"{name}/mattes/p{i}.png" for name in ("u2netp", "other") for i in range(3)}
    assert files == {"report.html", "summary.json"} | tables | mattes


def test_results_of_another_model_are_not_taken_for_ones_own(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    out = tmp_path / "out"
    evaluate(tmp_path, "--model", "first", "--out", out)
    before = (out / "per_image.csv").read_bytes()
    evaluate(tmp_path, "--model", "second", "--compare", "third", "--out", out)
    assert (out / "per_image.csv").read_bytes() == before
    assert all(one.predicted for one in made)


def test_made_up_scenes_need_no_dataset(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = evaluate("--synthetic", "2", "--model", "u2netp", "--compare", "a", "b", "--out", out)
    assert result.exit_code == 0, result.output
    assert names(out) == ["u2netp", "a", "b"]
    assert len(rows(out / "u2netp" / "per_image.csv")) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name a DATASET"),
        (["DATA", "another"], "expected one DATASET"),
        (["DATA", "--synthetic", "2"], "--synthetic needs no DATASET"),
        (["DATA", "--detail", "finest"], "no 'finest'; expected auto, off"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, arguments: list[str], says: str) -> None:
    make_dataset(tmp_path)
    result = evaluate(*(str(tmp_path) if a == "DATA" else a for a in arguments))
    assert result.exit_code == 2
    assert says in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--tag", "nothing"], "no photo with these tags; its tags are: "),
        (["--predictions", "../x=nowhere"], "cannot name predictions"),
        (["--predictions", "x=nowhere"], "not a folder of predictions"),
        (["--model", "a/same", "--compare", "b/same"], "both called same"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    make_dataset(tmp_path)
    result = evaluate(tmp_path, *arguments, "--out", tmp_path / "out")
    assert result.exit_code != 0
    assert says in str(result.exception)
