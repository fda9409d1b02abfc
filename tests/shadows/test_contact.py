import numpy as np

from rmbg_service.shadows.contact import dilated, find_contact_area
from rmbg_service.types import Matte


def box() -> Matte:
    """A subject of 40 x 60 px that stands on row 80."""
    matte = np.zeros((120, 160), np.float32)
    matte[20:80, 60:100] = 1
    return matte


def test_the_foot_is_the_rim_of_the_lower_part() -> None:
    contact = find_contact_area(box())
    assert contact is not None
    assert contact.foot[81, 80]
    assert contact.foot[75, 58]
    assert not contact.foot[:60].any()
    assert not (contact.foot & contact.covered).any()


def test_the_floor_weight_is_high_around_the_foot() -> None:
    contact = find_contact_area(box())
    assert contact is not None
    assert contact.floor_weight[90, 80] > 0.9
    assert contact.floor_weight[90, 5] < contact.floor_weight[90, 50]
    assert not contact.floor_weight[contact.covered].any()
    assert not contact.floor_weight[:45].any()


def test_distances_are_in_sizes_of_the_subject() -> None:
    small, large = (
        find_contact_area(box()),
        find_contact_area(np.kron(box(), np.ones((2, 2), np.float32))),
    )
    assert small is not None
    assert large is not None
    assert abs(small.distance[110, 80] - large.distance[221, 160]) < 0.05


def test_without_a_subject_there_is_no_contact_area() -> None:
    assert find_contact_area(np.zeros((20, 20), np.float32)) is None


def test_dilation_reaches_in_all_directions() -> None:
    flags = np.zeros((7, 7), np.bool_)
    flags[3, 3] = True
    assert dilated(flags, 2).sum() == 25
