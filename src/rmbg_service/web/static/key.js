/** The API key, where the service asks for one; kept for this tab only. */

import { byId } from "./dom.js";
import { say, t } from "./i18n.js";
import { recall, remember } from "./storage.js";

const KEPT = "rmbg.key";

export class Key {
  #form = byId("key-form", HTMLFormElement);
  #input = byId("key-value", HTMLInputElement);
  #fold = byId("key", HTMLDetailsElement);

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
    this.#fold.hidden = false;
    this.#fold.open = true;
    say(byId("key-state", HTMLElement), () => "");
  }

  /** The service has taken it: it needs no room any more. */
  accept() {
    if (this.#fold.hidden || !this.#fold.open || this.value === "") return;
    this.#fold.open = false;
    say(byId("key-state", HTMLElement), () => t("key.accepted"));
  }

  focus() {
    this.#input.select();
  }
}
