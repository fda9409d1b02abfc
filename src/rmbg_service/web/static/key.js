/** The API key, where the service asks for one; kept for this tab only. */

import { byId } from "./dom.js";
import { recall, remember } from "./storage.js";

const KEPT = "rmbg.key";

export class Key {
  #form = byId("key", HTMLFormElement);
  #input = byId("key-value", HTMLInputElement);

  /** @param {() => void} entered what to do when the key is complete */
  constructor(entered) {
    this.#input.value = recall("sessionStorage", KEPT) ?? "";
    this.#input.addEventListener("input", () =>
      remember("sessionStorage", KEPT, this.#input.value),
    );
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      entered();
    });
  }

  /** ASCII only: a header carries nothing else, and no key has other characters. */
  get value() {
    return this.#input.value.trim().replace(/[^\x20-\x7e]/g, "");
  }

  /** Show the field. */
  ask() {
    this.#form.hidden = false;
  }

  focus() {
    this.#input.select();
  }
}
