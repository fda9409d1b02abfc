/** Before and after: the original over the left part of the result. */

import { byId, onClick, setIdle, within } from "./dom.js";

export class Compare {
  #button = byId("compare", HTMLButtonElement);
  #range = byId("split", HTMLInputElement);
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
    this.line = within(result.element, ".split", HTMLElement);
    onClick(this.#button, () => {
      this.#on = !this.#on;
      this.#draw();
      if (this.#on) this.#range.focus();
    });
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

  /** Both previews have changed. There is something to compare when both show a picture. */
  refresh() {
    this.#possible = Boolean(this.original.frame && this.result.frame);
    setIdle(this.#button, !this.#possible);
    if (this.#possible) this.image.src = this.original.url;
    else this.image.removeAttribute("src");
    this.#draw();
  }

  place() {
    if (!this.#possible) return;
    this.result.put(this.image, { x: 0, y: 0 });
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

  #draw() {
    const shown = this.#on && this.#possible;
    this.#button.setAttribute("aria-pressed", String(this.#on));
    this.before.hidden = this.line.hidden = this.#range.hidden = !shown;
    this.place();
  }
}
