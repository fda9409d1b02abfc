"""The contact area that several tests of shadows use."""

import numpy as np

from rmbg_service.shadows.contact import ContactArea, find_contact_area

SIZE = (200, 300)


def contact_area() -> ContactArea:
    """A box on a floor; its foot is the rim from row 116 down."""
    matte = np.zeros(SIZE, np.float32)
    matte[60:140, 130:170] = 1
    contact = find_contact_area(matte)
    assert contact is not None
    return contact
