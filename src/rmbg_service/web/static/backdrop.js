/** What the result stands on, here and in its file: nothing, a colour, or a picture of one's own. */

import { byId, within } from "./dom.js";

/** @typedef {{colour: string} | {picture: Blob} | null} Chosen null for none: a checkerboard is shown */

/** Tells with `change` that another one is chosen. */
export class Backdrop extends EventTarget {
  #fieldset = within(document, ".backdrops", HTMLElement);
  #colour = byId("colour", HTMLInputElement);
  #file = byId("backdrop-file", HTMLInputElement);
  #own = byId("own", HTMLElement);
  /** @type {File | null} */
  #picture = null;
  #url = "";

  /**
   * @param {import("./stage.js").Stage} stage
   * @param {() => void} unreadable what to do when a picture of one's own cannot be shown
   */
  constructor(stage, unreadable) {
    super();
    this.stage = stage;
    this.element = within(stage.element, ".backdrop", HTMLElement);
    this.#fieldset.addEventListener("change", () => this.#paint());
    this.#colour.addEventListener("input", () => {
      this.#check("colour");
      this.#paint();
    });
    this.#file.addEventListener("change", () => {
      const [file] = this.#file.files ?? [];
      this.#file.value = ""; // so that the same file can be chosen again
      if (file) this.#take(file).catch(unreadable);
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

  /** What it is called: `transparent` for the checkerboard. */
  get kind() {
    const value = this.#value;
    if (value === "white" || value === "black" || value === "colour" || value === "picture") return value;
    return "transparent";
  }

  /** Rejects when the browser cannot show `file`. @param {File} file */
  async #take(file) {
    (await createImageBitmap(file)).close();
    URL.revokeObjectURL(this.#url);
    this.#picture = file;
    this.#url = URL.createObjectURL(file);
    this.#own.hidden = false;
    byId("own-swatch", HTMLElement).style.backgroundImage = `url("${this.#url}")`;
    this.#check("picture");
    this.#paint();
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
    const sheet = byId("sheet", HTMLElement); // its tiles are files of the same kind
    const papers = { white: "#ffffff", black: "#000000", colour: this.#colour.value, picture: `url("${this.#url}") center / cover` };
    const paper = papers[/** @type {keyof typeof papers} */ (value)];
    if (paper) sheet.style.setProperty("--paper", paper);
    else sheet.style.removeProperty("--paper");
    this.dispatchEvent(new Event("change"));
  }

  /** Lie exactly under the result; the pattern keeps its size whatever the zoom. */
  place() {
    const frame = this.stage.frame;
    this.element.hidden = !frame;
    if (!frame) return;
    const { x, y } = this.stage.toScreen(frame.x, frame.y);
    const { scale } = this.stage;
    const style = this.element.style;
    style.left = `${x}px`;
    style.top = `${y}px`;
    style.width = `${frame.width * scale}px`;
    style.height = `${frame.height * scale}px`;
  }
}
