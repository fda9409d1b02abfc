/** Before and after: the original over the left part of the result, or over all of it while held. */

import { byId, onClick, setIdle, within } from "./dom.js";
import { singleKey } from "./keys.js";

export class Compare {
  #button = byId("compare", HTMLButtonElement);
  #hold = byId("hold", HTMLButtonElement);
  #range = byId("split", HTMLInputElement);
  #held = false;
  #on = false;
  #possible = false;

  /**
   * @param {import("./stage.js").Stage} original
   * @param {import("./stage.js").Stage} result
   */
  constructor(original, result) {
    this.original = original;
    this.result = result;
    this.before = within(result.element, ".before", HTMLElement);
    this.image = within(this.before, "img", HTMLImageElement);
    this.ghost = within(result.element, ".ghost", HTMLImageElement);
    this.line = within(result.element, ".split", HTMLElement);
    onClick(this.#button, () => {
      this.#on = !this.#on;
      this.#draw();
      if (this.#on) this.#range.focus();
    });
    this.#startHolding();
    this.#range.addEventListener("input", () => this.#draw());
    this.line.addEventListener("pointerdown", (event) => {
      event.stopPropagation(); // the picture stays where it is
      this.line.setPointerCapture(event.pointerId);
    });
    this.line.addEventListener("pointermove", (event) => {
      if (!this.line.hasPointerCapture(event.pointerId)) return;
      const { left, width } = this.#span;
      const x = event.clientX - result.element.getBoundingClientRect().left;
      this.#range.value = String(((x - left) / width) * 100);
      this.#draw();
    });
    result.camera.addEventListener("change", () => this.place());
    new ResizeObserver(() => this.place()).observe(result.element);
  }

  get shown() {
    return this.#on && this.#possible;
  }

  /** Both previews have changed. @param {boolean} aligned whether the result lies over the original as it is */
  refresh(aligned) {
    this.#possible = Boolean(this.original.frame && this.result.frame) && aligned;
    for (const button of [this.#button, this.#hold]) setIdle(button, !this.#possible);
    for (const image of [this.image, this.ghost]) {
      if (this.#possible) image.src = this.original.url;
      else image.removeAttribute("src");
    }
    this.#draw();
  }

  place() {
    const { frame } = this.original;
    if (!this.#possible || !frame) return;
    for (const image of [this.image, this.ghost]) this.result.put(image, frame);
    const { left, width } = this.#span;
    const split = left + (this.#range.valueAsNumber / 100) * width;
    this.result.element.style.setProperty("--split", `${split}px`);
  }

  /** From where to where the line goes: over what is seen of the result, in CSS px. */
  get #span() {
    const { frame, element, scale } = this.result;
    if (!frame) return { left: 0, width: element.clientWidth };
    const start = this.result.toScreen(frame.x, frame.y).x;
    const left = Math.max(start, 0);
    const right = Math.min(start + frame.width * scale, element.clientWidth);
    return { left, width: Math.max(right - left, 1) };
  }

  /** The original is seen as long as the button, its key or O is held down. */
  #startHolding() {
    /** @param {boolean} held */
    const set = (held) => {
      if (held === this.#held) return;
      this.#held = held;
      this.#draw();
    };
    this.#hold.addEventListener("pointerdown", () => set(true));
    for (const end of ["pointerup", "pointercancel", "pointerleave", "blur"]) {
      this.#hold.addEventListener(end, () => set(false));
    }
    document.addEventListener("keydown", (event) => {
      const own = event.target === this.#hold && (event.key === " " || event.key === "Enter");
      if (own || singleKey(event) === "o") set(true);
    });
    document.addEventListener("keyup", () => set(false));
    addEventListener("blur", () => set(false));
  }

  #draw() {
    const [shown, held] = [this.shown, this.#held && this.#possible];
    this.#button.setAttribute("aria-pressed", String(this.#on));
    this.#hold.setAttribute("aria-pressed", String(held));
    this.before.hidden = !shown && !held;
    this.before.classList.toggle("whole", held);
    this.line.hidden = this.#range.hidden = !shown || held;
    this.place();
  }
}
