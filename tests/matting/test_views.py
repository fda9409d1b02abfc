import numpy as np
import pytest

from rmbg_service.matting.crops import blend
from rmbg_service.matting.plan import plan_detail
from rmbg_service.matting.views import View, join, pool
from rmbg_service.types import Box, Matte

INPUT = (320, 320)
MIRRORED = View(mirrored=True)


def disc(radius: float, softness: float, side: int = 320) -> Matte:
    """A round subject, a little left of the middle, with a soft rim."""
    y, x = np.mgrid[:side, :side]
    distance = np.hypot(x - 0.45 * side, y - 0.5 * side)
    return np.asarray(np.clip((radius - distance) / softness + 0.5, 0, 1), np.float32)


def test_a_mirrored_look_is_turned_back() -> None:
    matte = disc(60, 8)
    joined = join(matte, (900, 900), [MIRRORED], [matte[:, ::-1]])
    assert np.abs(joined - matte).max() < 1e-5


def test_who_is_sure_counts_more_than_in_the_plain_mean() -> None:
    sure, unsure = np.full((4, 4), 0.99, np.float32), np.full((4, 4), 0.4, np.float32)
    assert pool([sure, unsure])[0, 0] == pytest.approx(0.890, abs=0.001)  # 0.695 is the mean
    assert pool([1 - sure, 1 - unsure])[0, 0] == pytest.approx(0.110, abs=0.001)


def test_a_pool_leaves_nothing_and_all_as_they_are() -> None:
    for value in (0.0, 1.0):
        matte = np.full((5, 5), value, np.float32)
        assert np.abs(pool([matte, matte]) - value).max() < 1e-6


def test_contradiction_is_undecided_and_never_beyond_the_range() -> None:
    nothing, everything = np.zeros((5, 5), np.float32), np.ones((5, 5), np.float32)
    assert pool([nothing, everything]) == pytest.approx(np.full((5, 5), 0.5))


def test_the_weights_of_a_pool() -> None:
    low, high = np.full((2, 2), 0.1, np.float32), np.full((2, 2), 0.9, np.float32)
    assert pool([low, high], [0.5, 0.5])[0, 0] == pytest.approx(0.5)
    assert pool([low, high], [0.0, 1.0])[0, 0] == pytest.approx(0.9, abs=1e-4)


def test_an_empty_scene_stays_empty_whatever_is_shown() -> None:
    empty = np.zeros(INPUT, np.float32)
    views = [MIRRORED, View(Box(100, 100, 500, 500))]
    assert join(empty, (900, 900), views, [empty, empty], 0.7).max() < 1e-6


def test_a_box_alone_replaces_the_first_look_as_blend_does() -> None:
    first, box = disc(60, 8), Box(90, 120, 720, 780)
    second = disc(130, 3)
    joined = join(first, (900, 900), [View(box)], [second])
    assert (joined == blend(first, (900, 900), [box], [second])).all()


def test_the_share_of_a_box_lies_between_both_looks() -> None:
    first, box = np.full(INPUT, 0.4, np.float32), Box(0, 0, 900, 900)
    second = np.full(INPUT, 0.5, np.float32)
    half = join(first, (900, 900), [View(box)], [second], 0.5)
    assert half == pytest.approx(np.full(half.shape, 0.449), abs=0.001)


def test_looks_at_one_box_are_pooled_before_they_are_blended() -> None:
    first, box = disc(60, 8), Box(90, 120, 720, 780)
    one, other = disc(130, 3), disc(126, 9)
    views = [View(box), View(box, mirrored=True)]
    joined = join(first, (900, 900), views, [one, other[:, ::-1]])
    assert (joined == blend(first, (900, 900), [box], [pool([one, other])])).all()


def test_no_further_look_is_the_first_matte() -> None:
    first = disc(60, 8)
    assert join(first, (900, 900), [], []) is first


@pytest.mark.parametrize(
    ("radius", "looks", "share"),
    [  # it fills the picture, half of it, little of it
        (150, ["mirrored picture"], 1.0),
        (80, ["mirrored picture", "box"], 0.75),
        (20, ["box", "mirrored box"], 1.0),
    ],
)
def test_small_networks_look_again(radius: float, looks: list[str], share: float) -> None:
    plan = plan_detail("auto", disc(radius, 4), (1500, 1500), INPUT)
    told = [
        f"{'mirrored ' * view.mirrored}{'picture' if view.box is None else 'box'}"
        for view in plan.views
    ]
    assert told == looks
    assert plan.guided
    assert plan.box_share == pytest.approx(share, abs=0.01)
