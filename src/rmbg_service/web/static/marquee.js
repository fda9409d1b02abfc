/** A rectangle on a preview that pointers and keys move and resize. */

import { within } from "./dom.js";
import { pointIn } from "./gestures.js";

/** A part of a picture, by shares of its width and height from 0 to 1. @typedef {{left: number, top: number, right: number, bottom: number}} Region */
/** The sides of a region that move. @typedef {(keyof Region)[]} Sides */

/** @type {Region} */
export const WHOLE = { left: 0, top: 0, right: 1, bottom: 1 };
/** Where one begins that nobody has drawn yet. @type {Region} */
const INNER = { left: 0.1, top: 0.1, right: 0.9, bottom: 0.9 };
/** @type {Sides} */
const ALL = ["left", "top", "right", "bottom"];
const KEY_STEP_PX = 8;
/** How near to a side a mouse and a finger take hold of it. */
const GRAB_PX = { mouse: 8, touch: 24 };
/** The least side, in px of the screen: anything smaller was a click. */
const LEAST_PX = 6;
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Tells with `change` that it is another one, with `set` that Enter was pressed. */
export class Marquee extends EventTarget {
  /** @type {Region | null} */
  #region = null;
  /** Whether it was drawn, not only offered: then a drag inside moves it. */
  #drawn = false;
  #on = false;
  /** The drag under way: from where, by which pointer, and what was there before. @type {{pointer: number, x: number, y: number, from: Region, sides: Sides, before: Region, drawn: boolean} | null} */
  #drag = null;
  /** Pointers that are down. @type {Set<number>} */
  #down = new Set();

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    super();
    this.stage = stage;
    this.box = within(stage.element, ".region", HTMLElement);
    const { element } = stage;
    element.addEventListener("pointerdown", (event) => this.#onDown(event));
    element.addEventListener("pointermove", (event) => this.#onMove(event));
    for (const end of ["pointerup", "pointercancel"]) {
      element.addEventListener(end, (event) => this.#onUp(/** @type {PointerEvent} */ (event)));
    }
    element.addEventListener("keydown", (event) => this.#onKey(event));
    stage.camera.addEventListener("change", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(element);
  }

  get region() {
    return this.#region;
  }

  /** Whether any of its sides is seen. */
  get inView() {
    if (!this.#region) return false;
    const { left, top, right, bottom } = this.#onScreen(this.#region);
    const { clientWidth: width, clientHeight: height } = this.stage.element;
    const beside = right < 0 || bottom < 0 || left > width || top > height;
    const around = left < 0 && top < 0 && right > width && bottom > height;
    return !beside && !around;
  }

  /** Show a region, or none. @param {Region | null} region */
  show(region) {
    this.#region = region;
    this.draw();
  }

  /** Let it be changed, beginning with `region`. @param {Region | null} region */
  begin(region) {
    this.#drawn = region !== null;
    this.#turn(true);
    this.#change(region ?? INNER);
  }

  end() {
    this.#turn(false);
  }

  draw() {
    const { frame } = this.stage;
    this.box.hidden = !this.#region || !frame;
    if (!this.#region || !frame) return;
    const { left, top, right, bottom } = this.#onScreen(this.#region);
    Object.assign(this.box.style, {
      transform: `translate(${left}px, ${top}px)`,
      width: `${right - left}px`,
      height: `${bottom - top}px`,
    });
  }

  /** @param {boolean} on */
  #turn(on) {
    this.#on = on;
    this.#drag = null;
    this.#down.clear();
    this.stage.grip = on ? "region" : "picture";
    this.stage.element.classList.toggle("framed", on);
    this.draw();
  }

  /** @param {Region} region */
  #change(region) {
    this.#region = region;
    this.draw();
    this.dispatchEvent(new Event("change"));
  }

  /** @param {PointerEvent} event */
  #onDown(event) {
    if (!this.#on || event.button !== 0) return;
    this.#down.add(event.pointerId);
    if (this.#down.size > 1) {
      if (this.#drag) this.#change(this.#drag.before);
      this.#drag = null; // two fingers zoom
      return;
    }
    this.stage.element.setPointerCapture(event.pointerId);
    const { x, y } = pointIn(this.stage.element, event);
    const before = this.#region ?? INNER;
    const sides = this.#sidesAt(x, y, event.pointerType === "touch" ? GRAB_PX.touch : GRAB_PX.mouse);
    const point = this.#shareAt(x, y);
    const from = sides.length ? before : { left: point.x, top: point.y, right: point.x, bottom: point.y };
    const drag = { pointer: event.pointerId, x, y, from, before, drawn: this.#drawn };
    this.#drag = { ...drag, sides: sides.length ? sides : ["right", "bottom"] };
  }

  /** @param {PointerEvent} event */
  #onMove(event) {
    const drag = this.#drag;
    if (drag?.pointer !== event.pointerId) return;
    const { x, y } = pointIn(this.stage.element, event);
    this.#drawn = true;
    this.#change(this.#moved(drag.from, drag.sides, x - drag.x, y - drag.y));
  }

  /** @param {PointerEvent} event */
  #onUp(event) {
    this.#down.delete(event.pointerId);
    const drag = this.#drag;
    if (drag?.pointer !== event.pointerId) return;
    this.#drag = null;
    if (event.type !== "pointercancel" && this.#region && !this.#tiny(this.#region)) return;
    this.#drawn = drag.drawn;
    this.#change(drag.before);
  }

  /** The arrows move it, with Shift they resize it. @param {KeyboardEvent} event */
  #onKey(event) {
    if (!this.#on || event.target !== this.stage.element || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") {
      event.preventDefault();
      this.dispatchEvent(new Event("set"));
    }
    const [right = 0, down = 0] = STEPS[/** @type {keyof typeof STEPS} */ (event.key)] ?? [];
    if (!this.#region || (!right && !down)) return;
    event.preventDefault();
    /** @type {Sides} */
    const sides = event.shiftKey ? ["right", "bottom"] : ALL;
    const region = this.#moved(this.#region, sides, right * KEY_STEP_PX, down * KEY_STEP_PX);
    this.#drawn = true;
    if (!this.#tiny(region) && region.right > this.#region.left && region.bottom > this.#region.top) {
      this.#change(region);
    }
  }

  /**
   * The sides that a pointer takes hold of: one or two, all from within a drawn region, or none.
   * @param {number} x in CSS px of the preview
   * @param {number} y
   * @param {number} reach
   * @returns {Sides}
   */
  #sidesAt(x, y, reach) {
    if (!this.#region) return [];
    const { left, top, right, bottom } = this.#onScreen(this.#region);
    if (x < left - reach || x > right + reach || y < top - reach || y > bottom + reach) return [];
    /** @type {Sides} */
    const sides = [];
    if (Math.abs(x - left) <= reach) sides.push("left");
    else if (Math.abs(x - right) <= reach) sides.push("right");
    if (Math.abs(y - top) <= reach) sides.push("top");
    else if (Math.abs(y - bottom) <= reach) sides.push("bottom");
    return sides.length || !this.#drawn ? sides : ALL;
  }

  /**
   * `region` with some sides moved, within the picture; a side that passes the opposite one becomes it.
   * @param {Region} region
   * @param {Sides} sides
   * @param {number} right in CSS px
   * @param {number} down
   * @returns {Region}
   */
  #moved(region, sides, right, down) {
    const { width, height } = this.#size;
    let [dx, dy] = [right / width, down / height];
    if (sides === ALL) {
      dx = Math.min(Math.max(dx, -region.left), 1 - region.right); // it keeps its size
      dy = Math.min(Math.max(dy, -region.top), 1 - region.bottom);
    }
    const moved = { ...region };
    for (const side of sides) {
      const step = side === "left" || side === "right" ? dx : dy;
      moved[side] = Math.min(Math.max(moved[side] + step, 0), 1);
    }
    return {
      left: Math.min(moved.left, moved.right),
      top: Math.min(moved.top, moved.bottom),
      right: Math.max(moved.left, moved.right),
      bottom: Math.max(moved.top, moved.bottom),
    };
  }

  /** @param {Region} region */
  #tiny({ left, top, right, bottom }) {
    const { width, height } = this.#size;
    return (right - left) * width < LEAST_PX || (bottom - top) * height < LEAST_PX;
  }

  /** The picture's, in CSS px. */
  get #size() {
    const { width, height } = this.stage.frame ?? { width: 1, height: 1 };
    return { width: width * this.stage.scale, height: height * this.stage.scale };
  }

  /** @param {Region} region */
  #onScreen({ left, top, right, bottom }) {
    const { width, height } = this.stage.frame ?? { width: 0, height: 0 };
    const [start, end] = [
      this.stage.toScreen(left * width, top * height),
      this.stage.toScreen(right * width, bottom * height),
    ];
    return { left: start.x, top: start.y, right: end.x, bottom: end.y };
  }

  /** @param {number} x in CSS px of the preview @param {number} y */
  #shareAt(x, y) {
    const { width, height } = this.stage.frame ?? { width: 1, height: 1 };
    const point = this.stage.toPicture(x, y);
    return {
      x: Math.min(Math.max(point.x / width, 0), 1),
      y: Math.min(Math.max(point.y / height, 0), 1),
    };
  }
}
