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

  constructor() {
    onClick(this.#button, () => this.act());
    onClick(byId("toast-close", HTMLButtonElement), () => this.#hide());
  }

  get shown() {
    return !this.#element.hidden;
  }

  /**
   * @param {() => string} text
   * @param {() => string} label of its button
   * @param {() => void} act what the button does
   * @param {() => void} [end] what to do once it is too late for that
   */
  show(text, label, act, end = () => {}) {
    this.#end();
    [this.#act, this.#end] = [act, end];
    say(byId("toast-text", HTMLElement), text);
    say(this.#button, label);
    this.#element.hidden = false;
    this.#wait();
  }

  act() {
    const act = this.#act;
    this.#end = () => {};
    this.#hide();
    act();
  }

  #wait() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#element.matches(":hover, :focus-within")) this.#wait();
      else this.#hide();
    }, SHOWN_MS);
  }

  #hide() {
    clearTimeout(this.#timer);
    this.#element.hidden = true;
    this.#end();
    [this.#act, this.#end] = [() => {}, () => {}];
  }
}
