/** The options of a removal that a person wants, as far as this service knows them. */

import { byId, within } from "./dom.js";
import { isWord, languageChanges, t } from "./i18n.js";

const DEFAULTS = { detail: "auto", shadow: "off" };

/** Tells with `change` that they are others. */
export class Options extends EventTarget {
  #form = byId("options-form", HTMLFormElement);
  /** @type {Record<string, string[]>} */
  #known = {};

  constructor() {
    super();
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.addEventListener("input", () => {
      this.#fold();
      this.#field("margin", HTMLInputElement).reportValidity();
      this.dispatchEvent(new Event("change"));
    });
    languageChanges.addEventListener("change", () => this.offer(this.#known));
  }

  /**
   * Offer what the service knows.
   * @param {Record<string, string[]>} known each option and its values, where they are a list
   */
  offer(known) {
    this.#known = known;
    for (const [name, standard] of Object.entries(DEFAULTS)) {
      const select = this.#field(name, HTMLSelectElement);
      const chosen = select.value || standard;
      select.replaceChildren(
        ...(known[name] ?? []).map((value) => {
          const word = `${name}.${value}`;
          return new Option(isWord(word) ? t(word) : value, value, value === standard);
        }),
      );
      select.value = chosen;
    }
    this.#fold();
  }

  /** The options that differ from the service's defaults, as they stand in a query. */
  get chosen() {
    /** @type {Record<string, string>} */
    const chosen = { output: "cutout", format: "png" };
    for (const [name, standard] of Object.entries(DEFAULTS)) {
      const value = this.#field(name, HTMLSelectElement).value;
      if (value && value !== standard) chosen[name] = value;
    }
    if (!this.#field("decontaminate", HTMLInputElement).checked) chosen.decontaminate = "false";
    if (this.#field("crop", HTMLInputElement).checked) {
      chosen.crop = "true";
      const margin = this.#field("margin", HTMLInputElement);
      const unit = this.#field("margin-unit", HTMLSelectElement).value;
      if (margin.valueAsNumber > 0 && margin.validity.valid) chosen.margin = margin.value + unit;
    }
    if (chosen.shadow && "shadow_opacity" in this.#known) {
      const percent = this.#field("shadow_opacity", HTMLInputElement).valueAsNumber;
      chosen.shadow_opacity = String(percent / 100);
    }
    return chosen;
  }

  /** Show only the fields that mean something now. */
  #fold() {
    const shadow = this.#field("shadow", HTMLSelectElement).value;
    const unit = this.#field("margin-unit", HTMLSelectElement).value;
    this.#field("margin", HTMLInputElement).max = unit === "%" ? "100" : "1000";
    /** @type {Record<string, boolean>} */
    const met = {
      crop: this.#field("crop", HTMLInputElement).checked,
      shadow: shadow !== "" && shadow !== "off",
    };
    for (const field of this.#form.querySelectorAll("[data-option]")) {
      if (!(field instanceof HTMLElement)) continue;
      const { option = "", needs = "" } = field.dataset;
      field.hidden = !(option in this.#known) || met[needs] === false;
    }
  }

  /**
   * @template {Element} T
   * @param {string} name
   * @param {new () => T} kind
   */
  #field(name, kind) {
    return within(this.#form, `[name="${name}"]`, kind);
  }
}
