import numpy as np

from rmbg_service.shadows.contact import find_stand, grown
from rmbg_service.types import Matte


def box() -> Matte:
    """A subject of 40 x 60 px that stands on row 80."""
    matte = np.zeros((120, 160), np.float32)
    matte[20:80, 60:100] = 1
    return matte


def test_the_foot_is_the_rim_of_the_lower_part() -> None:
    stand = find_stand(box())
    assert stand is not None
    assert stand.foot[81, 80]
    assert stand.foot[75, 58]
    assert not stand.foot[:60].any()
    assert not (stand.foot & stand.covered).any()


def test_the_zone_is_the_floor_around_the_foot() -> None:
    stand = find_stand(box())
    assert stand is not None
    assert stand.zone[90, 80] > 0.9
    assert stand.zone[90, 5] < stand.zone[90, 50]
    assert not stand.zone[stand.covered].any()
    assert not stand.zone[:45].any()


def test_distances_are_in_sizes_of_the_subject() -> None:
    small, large = find_stand(box()), find_stand(np.kron(box(), np.ones((2, 2), np.float32)))
    assert small is not None
    assert large is not None
    assert abs(small.away[110, 80] - large.away[221, 160]) < 0.05


def test_without_a_subject_there_is_no_stand() -> None:
    assert find_stand(np.zeros((20, 20), np.float32)) is None


def test_grown_reaches_in_all_directions() -> None:
    flags = np.zeros((7, 7), np.bool_)
    flags[3, 3] = True
    assert grown(flags, 2).sum() == 25
