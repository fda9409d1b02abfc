/** The part of a picture in which the subject is looked for: the service's option `roi`. */

import { byId, onClick, setIdle } from "./dom.js";
import { languageChanges, t } from "./i18n.js";
import { Marquee, WHOLE } from "./marquee.js";

/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {import("./marquee.js").Region} Region */

/** Tells with `begin` that one is being chosen, with `set` that a picture has another one. */
export class RegionTool extends EventTarget {
  #button = byId("region", HTMLButtonElement);
  #tools = byId("region-tools", HTMLElement);
  #facts = byId("region-facts", HTMLElement);
  /** The picture that one is chosen for. @type {Picture | null} */
  #picture = null;

  /**
   * @param {import("./album.js").Album} album
   * @param {import("./stage.js").Stage} stage of the original
   */
  constructor(album, stage) {
    super();
    this.album = album;
    this.stage = stage;
    this.marquee = new Marquee(stage);
    this.marquee.addEventListener("change", () => this.#drawFacts());
    this.marquee.addEventListener("set", () => this.#set(this.marquee.region));
    stage.camera.addEventListener("change", () => this.draw()); // also when a picture has come into view
    languageChanges.addEventListener("change", () => this.#drawFacts());
    onClick(this.#button, () => (this.active ? this.cancel() : this.start()));
    onClick(byId("region-set", HTMLButtonElement), () => this.#set(this.marquee.region));
    onClick(byId("region-clear", HTMLButtonElement), () => this.#set(null));
    onClick(byId("region-cancel", HTMLButtonElement), () => this.#leave());
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.defaultPrevented || !this.active) return;
      event.preventDefault();
      this.#leave();
    });
  }

  get active() {
    return this.#picture !== null;
  }

  /** Offer it to those who have a service that knows it. @param {boolean} known */
  offer(known) {
    this.#button.hidden = !known;
  }

  /** Choose the region of the picture on show. */
  start() {
    const picture = this.album.shown;
    if (!picture || picture.busy || !this.stage.frame) return;
    this.dispatchEvent(new Event("begin"));
    if (picture.busy) return; // what was painted on it is being applied
    this.#picture = picture;
    this.marquee.begin(picture.region);
    if (!this.marquee.inView) this.stage.camera.fit();
    this.draw();
    this.#tools.scrollIntoView({ block: "nearest" }); // on a phone they would lie under the large button
    this.stage.element.focus({ preventScroll: true });
  }

  /** Leave the region as it was. */
  cancel() {
    if (!this.active) return;
    this.#picture = null;
    this.marquee.end();
    this.draw();
  }

  draw() {
    const { shown } = this.album;
    if (this.#picture && (this.#picture !== shown || shown.busy)) return this.cancel();
    if (!this.active) this.marquee.show(shown?.region ?? null);
    this.#tools.hidden = !this.active;
    this.#button.setAttribute("aria-pressed", String(this.active));
    setIdle(this.#button, !shown || shown.busy || !this.stage.frame);
  }

  /** @param {Region | null} region */
  #set(region) {
    const picture = this.#picture;
    if (!picture || !this.stage.frame) return;
    this.#leave();
    const whole = !region || Object.entries(WHOLE).every(([side, at]) => region[/** @type {keyof Region} */ (side)] === at);
    this.album.update(picture, { region: whole ? null : region });
    this.dispatchEvent(new CustomEvent("set", { detail: picture }));
  }

  #leave() {
    this.cancel();
    this.#button.focus();
  }

  #drawFacts() {
    const { region } = this.marquee;
    const { frame } = this.stage;
    if (!region || !frame) return;
    const [left, right] = [region.left, region.right].map((share) => Math.round(share * frame.width));
    const [top, bottom] = [region.top, region.bottom].map((share) => Math.round(share * frame.height));
    const [width, height] = [(right ?? 0) - (left ?? 0), (bottom ?? 0) - (top ?? 0)];
    this.#facts.textContent = t("region.facts", { width, height, left: left ?? 0, top: top ?? 0 });
  }
}

/** A region as the option `roi`. @param {Region} region */
export function roiOf({ left, top, right, bottom }) {
  return [left, top, right, bottom].map((share) => `${(share * 100).toFixed(3)}%`).join(" ");
}
