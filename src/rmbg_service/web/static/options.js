/** The options of a removal that a person wants, as far as this service knows them. */

import { byId, onClick, within } from "./dom.js";
import { isWord, languageChanges, t } from "./i18n.js";
import { keepFields, restoreFields } from "./storage.js";

const DEFAULTS = { detail: "auto", shadow: "off" };
const KEPT = "rmbg.options";

/** Tells with `change` that they are others. */
export class Options extends EventTarget {
  #form = byId("options-form", HTMLFormElement);
  /** @type {Record<string, string[]>} */
  #known = {};

  constructor() {
    super();
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.addEventListener("input", ({ target }) => {
      this.#changed();
      if (target === this.#margin) this.#margin.reportValidity();
      keepFields(this.#form, KEPT);
    });
    this.#margin.addEventListener("change", () => {
      const { valueAsNumber: value, max } = this.#margin;
      this.#margin.value = String(Math.min(Math.max(value || 0, 0), Number(max)));
      this.#changed();
    });
    onClick(byId("options-reset", HTMLButtonElement), () => {
      this.#form.reset();
      this.#changed();
      keepFields(this.#form, KEPT);
      within(byId("options", HTMLDetailsElement), "summary", HTMLElement).focus();
    });
    languageChanges.addEventListener("change", () => this.offer(this.#known));
    this.#draw();
  }

  /**
   * Offer what the service knows.
   * @param {Record<string, string[]>} known each option and its values, where they are a list
   */
  offer(known) {
    const first = Object.keys(this.#known).length === 0;
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
    if (first) restoreFields(this.#form, KEPT);
    this.#changed();
  }

  /** The options that differ from the service's defaults, as they stand in a query. */
  get chosen() {
    /** @type {Record<string, string>} */
    const chosen = { output: "cutout", format: "png" };
    for (const [name, standard] of Object.entries(DEFAULTS)) {
      const value = this.#field(name, HTMLSelectElement).value;
      if (value && value !== standard) chosen[name] = value;
    }
    /** @param {string} name of an option that the service knows */
    const checked = (name) => name in this.#known && this.#field(name, HTMLInputElement).checked;
    if ("decontaminate" in this.#known && !checked("decontaminate")) chosen.decontaminate = "false";
    if (checked("crop")) {
      chosen.crop = "true";
      const unit = this.#field("margin-unit", HTMLSelectElement).value;
      const { valueAsNumber: margin, validity } = this.#margin;
      if (margin > 0 && validity.valid) chosen.margin = margin + unit;
    }
    if (chosen.shadow && "shadow_opacity" in this.#known) {
      const percent = this.#field("shadow_opacity", HTMLInputElement).valueAsNumber;
      chosen.shadow_opacity = String(percent / 100);
    }
    return chosen;
  }

  get #margin() {
    return this.#field("margin", HTMLInputElement);
  }

  #changed() {
    this.#draw();
    this.dispatchEvent(new Event("change"));
  }

  /** Show only the fields that mean something now, and how many differ from the defaults. */
  #draw() {
    const unit = this.#field("margin-unit", HTMLSelectElement).value;
    this.#margin.max = unit === "%" ? "100" : "1000";
    const { output: _, format: __, ...changed } = this.chosen;
    const count = ["crop", "shadow", "detail", "decontaminate"].filter((name) => name in changed).length;
    byId("options-changed", HTMLElement).textContent = count ? t("options.changed", { count }) : "";
    byId("options-reset", HTMLElement).hidden = count === 0;
    /** @type {Record<string, boolean>} */
    const met = { crop: "crop" in changed, shadow: "shadow" in changed };
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
