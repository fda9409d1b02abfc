/** A line at the foot of the page about what was just done, with a button that takes it back. */

import { byId, onClick } from "./dom.js";
import { say } from "./i18n.js";

const SHOWN_MS = 10_000;

export class Toast {
  #element = byId("toast", HTMLElement);
  #button = byId("toast-act", HTMLButtonElement);
  #timer = 0;
  #act = () => {};
  #end = () => {};
  #undoes = false;
  /** What had the focus before it came here. @type {EventTarget | null} */
  #from = null;

  constructor() {
    this.#element.addEventListener("focusin", ({ relatedTarget }) => {
      if (!(relatedTarget instanceof Node && this.#element.contains(relatedTarget))) this.#from = relatedTarget;
    });
    onClick(this.#button, () => this.act());
    onClick(byId("toast-close", HTMLButtonElement), () => this.hide());
  }

  /**
   * @param {() => string} text
   * @param {() => string} label of its button
   * @param {() => void} act what the button does
   * @param {{undoes?: boolean, end?: () => void}} [more] whether it takes something back, and what
   *   to do once it is too late for that
   */
  show(text, label, act, { undoes = false, end = () => {} } = {}) {
    this.#end();
    [this.#act, this.#end, this.#undoes] = [act, end, undoes];
    say(byId("toast-text", HTMLElement), text);
    say(this.#button, label);
    this.#element.hidden = false;
    this.#wait();
  }

  /** Take back what was just done, if that can be. */
  undo() {
    if (this.#undoes && !this.#element.hidden) this.act();
  }

  act() {
    const act = this.#act;
    this.#end = () => {};
    this.hide();
    act();
  }

  #wait() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#element.matches(":hover, :focus-within")) this.#wait();
      else this.hide();
    }, SHOWN_MS);
  }

  /** Let it go: what it offered can be done no longer. */
  hide() {
    clearTimeout(this.#timer);
    this.#giveFocusBack();
    this.#element.hidden = true;
    this.#end();
    [this.#act, this.#end] = [() => {}, () => {}];
  }

  #giveFocusBack() {
    if (!this.#element.contains(document.activeElement)) return;
    const from = this.#from instanceof HTMLElement && this.#from.getClientRects().length ? this.#from : null;
    (from ?? byId("files", HTMLInputElement)).focus();
  }
}
