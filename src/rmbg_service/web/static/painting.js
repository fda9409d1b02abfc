/** Pointers and keys paint on the result: the ring under the pointer, and the stroke as it grows. */

import { within } from "./dom.js";
import { pointIn } from "./gestures.js";
import { drawStroke } from "./strokes.js";

/** @typedef {import("./strokes.js").Stroke} Stroke */
/** How a stroke that begins now would be. @typedef {{keep: boolean, smart: boolean, radius: number}} Nib radius in CSS px */

const COLOURS = { keep: "#1eaa5a", erase: "#e12d2d" };
/** Of a pen that hardly touches, as a share of the brush. */
const LEAST_PRESSURE = 0.2;
const KEY_STEP_PX = 8;
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Tells with `stroke` that one is complete, with `wheel` that the brush should be larger (1) or smaller (-1). */
export class Painting extends EventTarget {
  #on = false;
  /** @type {Stroke | null} */
  #stroke = null;
  /** Painted, and not yet part of what is shown. @type {Stroke[]} */
  #pending = [];
  /** Pointers that are down. @type {Set<number>} */
  #down = new Set();
  /** Where the ring is, in CSS px of the preview. */
  #at = { x: 0, y: 0 };

  /**
   * @param {import("./stage.js").Stage} stage
   * @param {() => Nib} nib
   */
  constructor(stage, nib) {
    super();
    this.stage = stage;
    this.nib = nib;
    this.canvas = within(stage.element, ".strokes", HTMLCanvasElement);
    this.ring = within(stage.element, ".brush-ring", HTMLElement);
    const { element } = stage;
    element.addEventListener("pointerdown", (event) => this.#onDown(event));
    element.addEventListener("pointermove", (event) => this.#onMove(event));
    for (const end of ["pointerup", "pointercancel"]) {
      element.addEventListener(end, (event) => this.#onUp(/** @type {PointerEvent} */ (event)));
    }
    element.addEventListener("pointerleave", () => (this.ring.hidden ||= !element.matches(":focus-visible")));
    element.addEventListener("wheel", (event) => {
      if (!this.#on || event.ctrlKey) return; // Ctrl zooms
      event.preventDefault();
      this.dispatchEvent(new CustomEvent("wheel", { detail: event.deltaY < 0 ? 1 : -1 }));
    }, { passive: false }); // prettier-ignore
    element.addEventListener("keydown", (event) => this.#onKey(event));
    stage.camera.addEventListener("change", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(element);
  }

  /** @param {boolean} on */
  set on(on) {
    this.#on = on;
    this.stage.grip = on ? "brush" : "picture";
    this.stage.element.classList.toggle("painted", on);
    const { clientWidth, clientHeight } = this.stage.element;
    this.#at = { x: clientWidth / 2, y: clientHeight / 2 };
    this.#pending = [];
    this.#stroke = null;
    this.ring.hidden = true;
    this.canvas.hidden = !on;
    this.draw();
  }

  /** What was painted is part of the result now, or was given up, but for `left`. @param {Stroke[]} [left] */
  settle(left = []) {
    this.#pending = [...left];
    this.draw();
  }

  /** The ring, and the strokes that the result does not show yet. */
  draw() {
    if (!this.#on) return;
    const { element } = this.stage;
    const [width, height] = [element.clientWidth, element.clientHeight];
    this.canvas.width = width * devicePixelRatio;
    this.canvas.height = height * devicePixelRatio;
    const context = this.canvas.getContext("2d");
    const { x, y } = this.stage.toScreen(0, 0);
    const scale = this.stage.scale * devicePixelRatio;
    context?.setTransform(scale, 0, 0, scale, x * devicePixelRatio, y * devicePixelRatio);
    for (const stroke of [...this.#pending, ...(this.#stroke ? [this.#stroke] : [])]) {
      if (!context) continue;
      context.fillStyle = context.strokeStyle = COLOURS[stroke.keep ? "keep" : "erase"];
      drawStroke(context, stroke);
    }
    const { radius, keep } = this.nib();
    this.ring.classList.toggle("erase", !keep);
    this.ring.style.width = this.ring.style.height = `${2 * radius}px`;
    this.ring.style.transform = `translate(${this.#at.x - radius}px, ${this.#at.y - radius}px)`;
  }

  /** @param {PointerEvent} event */
  #onDown(event) {
    if (!this.#on || !this.stage.placed || event.button !== 0) return;
    this.#down.add(event.pointerId);
    if (this.#down.size > 1) {
      this.#stroke = null; // two fingers zoom
      return this.draw();
    }
    this.stage.element.setPointerCapture(event.pointerId);
    this.#at = pointIn(this.stage.element, event);
    this.#begin(event);
  }

  /** @param {PointerEvent} event */
  #onMove(event) {
    if (!this.#on) return;
    this.ring.hidden = event.pointerType === "touch";
    this.#at = pointIn(this.stage.element, event);
    if (this.#stroke && this.#down.has(event.pointerId)) {
      const moves = event.getCoalescedEvents?.() ?? [];
      for (const each of moves.length ? moves : [event]) this.#extend(pointIn(this.stage.element, each), each);
    }
    this.draw();
  }

  /** @param {PointerEvent} event */
  #onUp(event) {
    if (!this.#down.delete(event.pointerId)) return;
    if (event.type === "pointercancel") this.#stroke = null;
    this.#end();
  }

  /** The ring is moved with the arrows; with Shift it paints, and so do Space and Enter. @param {KeyboardEvent} event */
  #onKey(event) {
    if (!this.#on || !this.stage.placed || event.target !== this.stage.element) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [right, down] = STEPS[/** @type {keyof typeof STEPS} */ (event.key)] ?? [0, 0];
    const moves = right !== 0 || down !== 0;
    if (!moves && event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    this.ring.hidden = false;
    if (!moves || event.shiftKey) this.#begin(null);
    this.#at = { x: this.#at.x + (right ?? 0) * KEY_STEP_PX, y: this.#at.y + (down ?? 0) * KEY_STEP_PX };
    if (moves && event.shiftKey) this.#extend(this.#at, null);
    this.#end();
    this.draw();
  }

  /** @param {PointerEvent | null} pointer null for a key */
  #begin(pointer) {
    const { keep, smart } = this.nib();
    this.#stroke = { keep, smart, dabs: [] };
    this.#extend(this.#at, pointer);
    this.draw();
  }

  /** @param {{x: number, y: number}} point @param {PointerEvent | null} pointer */
  #extend(point, pointer) {
    const pressure = pointer?.pointerType === "pen" ? LEAST_PRESSURE + (1 - LEAST_PRESSURE) * pointer.pressure : 1;
    const radius = (this.nib().radius * pressure) / this.stage.scale;
    this.#stroke?.dabs.push({ ...this.stage.toPicture(point.x, point.y), radius });
  }

  #end() {
    const stroke = this.#stroke;
    this.#stroke = null;
    if (!stroke) return;
    this.#pending.push(stroke);
    this.draw();
    this.dispatchEvent(new CustomEvent("stroke", { detail: stroke }));
  }
}
