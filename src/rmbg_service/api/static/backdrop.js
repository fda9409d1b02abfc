/** What the result stands on in its preview: a pattern, a colour, or a picture of one's own. */

import { byId, within } from "./dom.js";

/** @typedef {{colour: string} | {picture: Blob} | null} Chosen null for the checkerboard */

export class Backdrop {
  #fieldset = within(document, ".backdrops", HTMLElement);
  #colour = byId("colour", HTMLInputElement);
  #file = byId("backdrop-file", HTMLInputElement);
  #own = byId("own", HTMLElement);
  /** @type {File | null} */
  #picture = null;
  #url = "";

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.element = within(stage.element, ".backdrop", HTMLElement);
    this.#fieldset.addEventListener("change", () => this.#paint());
    this.#colour.addEventListener("input", () => {
      this.#check("colour");
      this.#paint();
    });
    this.#file.addEventListener("change", () => {
      const [file] = this.#file.files ?? [];
      if (!file) return;
      URL.revokeObjectURL(this.#url);
      this.#picture = file;
      this.#url = URL.createObjectURL(file);
      this.#own.hidden = false;
      byId("own-swatch", HTMLElement).style.backgroundImage = `url("${this.#url}")`;
      this.#check("picture");
      this.#paint();
    });
    stage.camera.addEventListener("change", () => this.place());
    new ResizeObserver(() => this.place()).observe(stage.element);
    this.#paint();
  }

  /** @returns {Chosen} */
  get chosen() {
    switch (this.#value) {
      case "white":
        return { colour: "#ffffff" };
      case "black":
        return { colour: "#000000" };
      case "colour":
        return { colour: this.#colour.value };
      case "picture":
        return this.#picture && { picture: this.#picture };
      default:
        return null;
    }
  }

  get #value() {
    return within(this.#fieldset, "input[name=backdrop]:checked", HTMLInputElement).value;
  }

  /** @param {string} value */
  #check(value) {
    within(this.#fieldset, `input[value=${value}]`, HTMLInputElement).checked = true;
  }

  #paint() {
    const value = this.#value;
    byId("colour-swatch", HTMLElement).style.backgroundColor = this.#colour.value;
    this.element.className = `backdrop ${value}`;
    this.element.style.backgroundColor = value === "colour" ? this.#colour.value : "";
    this.element.style.backgroundImage = value === "picture" ? `url("${this.#url}")` : "";
  }

  /** Lie exactly under the result; the pattern keeps its size whatever the zoom. */
  place() {
    const frame = this.stage.frame;
    this.element.hidden = !frame;
    if (!frame) return;
    const { x, y } = this.stage.toScreen(frame.x, frame.y);
    const end = this.stage.toScreen(frame.x + frame.width, frame.y + frame.height);
    const style = this.element.style;
    style.left = `${x}px`;
    style.top = `${y}px`;
    style.width = `${end.x - x}px`;
    style.height = `${end.y - y}px`;
  }
}
