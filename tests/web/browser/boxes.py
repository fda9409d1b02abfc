"""Where things are on the page, once they have come to rest.

The page puts its pictures in place in the frame after their room has changed: what is measured
before that frame is not where the mouse would find it.
"""

import json
from typing import NamedTuple

from playwright.sync_api import Page

# The boxes of elements, when all are shown and two frames in a row have found them alike.
SETTLED = """(selectors) => new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`${selectors} are hidden, or move on and on`)), 30_000);
    let before = "";
    const look = () => {
        const boxes = selectors.map((each) => document.querySelector(each).getBoundingClientRect());
        const now = JSON.stringify(boxes.map(({ x, y, width, height }) => [x, y, width, height]));
        const shown = boxes.every(({ width, height }) => width > 0 && height > 0);
        if (shown && now === before) return resolve(now);
        before = now;
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})"""


class Box(NamedTuple):
    """A rectangle, in CSS px of the window."""

    x: float
    y: float
    width: float
    height: float

    def at(self, right: float, down: float) -> tuple[float, float]:
        """The point at shares of its width and height."""
        return self.x + right * self.width, self.y + down * self.height


def parsed(found: str) -> list[Box]:
    """What `SETTLED` gives."""
    return [Box(*sides) for sides in json.loads(found)]


def boxes_of(page: Page, *selectors: str) -> list[Box]:
    """Of several elements at one moment."""
    return parsed(page.evaluate(SETTLED, selectors))


def box_of(page: Page, selector: str) -> Box:
    (box,) = boxes_of(page, selector)
    return box
