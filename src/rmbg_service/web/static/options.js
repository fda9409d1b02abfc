/** The options of a removal that a person wants, for all pictures or for those selected. */

import { byId, onClick, within } from "./dom.js";
import { isWord, languageChanges, plural, t } from "./i18n.js";
import { roiOf } from "./region.js";
import { fillFields, keepValues, keptValues, valuesOf } from "./storage.js";

/** @typedef {import("./storage.js").Values} Values */
/** @typedef {import("./picture.js").Picture} Picture */

const DEFAULTS = { detail: "auto", shadow: "off" };
const COUNTED = ["preset", "crop", "shadow", "detail", "decontaminate"];
const KEPT = "rmbg.options";

/** Tells with `change` that they are others. */
export class Options extends EventTarget {
  #form = byId("options-form", HTMLFormElement);
  /** @type {Record<string, string[]>} */
  #known = {};
  /** @type {import("./api.js").Preset[]} */
  #presets = [];
  /** Those of every picture that has none of its own. @type {Values} */
  #common = {};
  /** What the form is for now. @type {Picture[]} */
  #scope = [];

  /** @param {import("./album.js").Album} album */
  constructor(album) {
    super();
    this.album = album;
    this.#common = valuesOf(this.#form);
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.addEventListener("input", ({ target }) => {
      if (target === this.#margin) this.#margin.reportValidity();
      this.#take(valuesOf(this.#form));
    });
    this.#margin.addEventListener("change", () => {
      const { valueAsNumber: value, max } = this.#margin;
      this.#margin.value = String(Math.min(Math.max(value || 0, 0), Number(max)));
      this.#take(valuesOf(this.#form));
    });
    onClick(byId("options-reset", HTMLButtonElement), () => {
      this.#form.reset();
      this.#take(valuesOf(this.#form));
      within(byId("options", HTMLDetailsElement), "summary", HTMLElement).focus();
    });
    const fold = byId("options", HTMLDetailsElement);
    fold.addEventListener("toggle", () => fold.open && fold.scrollIntoView({ block: "nearest" }));
    languageChanges.addEventListener("change", () => this.offer(this.#known, this.#presets));
    this.draw();
  }

  /**
   * Offer what the service knows.
   * @param {Record<string, string[]>} known each option and its values, where they are a list
   * @param {import("./api.js").Preset[]} presets
   */
  offer(known, presets) {
    const first = Object.keys(this.#known).length === 0;
    [this.#known, this.#presets] = [known, presets];
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
    const preset = this.#field("preset", HTMLSelectElement);
    const chosen = preset.value;
    const none = new Option(t("preset.none"), "", true);
    preset.replaceChildren(none, ...presets.map(({ name, title }) => new Option(presetTitle(name, title), name)));
    preset.value = chosen;
    if (first) {
      fillFields(this.#form, keptValues(KEPT));
      this.#common = valuesOf(this.#form);
    }
    this.draw();
    this.dispatchEvent(new Event("change"));
  }

  /** The options of a picture that differ from the service's defaults, as they stand in a query. @param {Picture} picture */
  of(picture) {
    const query = this.#query(picture.options ?? this.#common);
    if (picture.region && "roi" in this.#known) query.roi = roiOf(picture.region);
    return query;
  }

  /** Show those of the pictures selected, or of all, and how many differ from the defaults. */
  draw() {
    const scope = [...this.album.selected];
    if (scope.length !== this.#scope.length || scope[0] !== this.#scope[0]) {
      fillFields(this.#form, scope[0]?.options ?? this.#common);
    }
    this.#scope = scope;
    byId("options-scope", HTMLElement).textContent = scope.length ? plural("options.scope", scope.length) : "";
    const unit = this.#field("margin-unit", HTMLSelectElement).value;
    this.#margin.max = unit === "%" ? "100" : "1000";
    const changed = this.#query(valuesOf(this.#form));
    const count = COUNTED.filter((name) => name in changed).length;
    byId("options-changed", HTMLElement).textContent = count ? t("options.changed", { count }) : "";
    byId("options-reset", HTMLElement).hidden = count === 0;
    /** @type {Record<string, boolean>} */
    const met = { crop: "crop" in changed, shadow: "shadow" in changed, original: !("preset" in changed) };
    for (const field of this.#form.querySelectorAll("[data-option]")) {
      if (!(field instanceof HTMLElement)) continue;
      const { option = "", needs = "" } = field.dataset;
      field.hidden = !(option in this.#known) || met[needs] === false;
    }
  }

  get #margin() {
    return this.#field("margin", HTMLInputElement);
  }

  /**
   * What has changed in the form is for the pictures it is for: a picture with options of its own
   * keeps the others of them.
   * @param {Values} values
   */
  #take(values) {
    const before = this.#scope[0]?.options ?? this.#common;
    const changed = Object.fromEntries(Object.entries(values).filter(([name, value]) => before[name] !== value));
    if (this.#scope.length > 0) {
      for (const picture of this.#scope) picture.options = { ...(picture.options ?? this.#common), ...changed };
    } else {
      this.#common = values;
      for (const picture of this.album.pictures) {
        if (picture.options) picture.options = { ...picture.options, ...changed };
      }
      keepValues(KEPT, values);
    }
    this.draw();
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Values} values */
  #query(values) {
    /** @type {Record<string, string>} */
    const chosen = { output: "cutout" };
    const preset = this.#presets.find(({ name }) => name === values.preset);
    if (preset) chosen.preset = preset.name; // it has a format of its own
    else chosen.format = "png";
    for (const [name, standard] of Object.entries(DEFAULTS)) {
      const value = String(values[name] ?? "");
      if (value !== standard && this.#known[name]?.includes(value)) chosen[name] = value;
    }
    if ("decontaminate" in this.#known && values.decontaminate === false) chosen.decontaminate = "false";
    if ("crop" in this.#known && values.crop === true && !preset) {
      chosen.crop = "true";
      const [margin, unit] = [Number(values.margin), String(values["margin-unit"])];
      const most = unit === "%" ? 100 : 1000;
      if (Number.isInteger(margin) && margin > 0 && margin <= most) chosen.margin = margin + unit;
    }
    if (chosen.shadow && "shadow_opacity" in this.#known) {
      chosen.shadow_opacity = String(Number(values.shadow_opacity) / 100);
    }
    return chosen;
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

/** @param {string} name of a preset @param {string} title in the service's words */
export function presetTitle(name, title) {
  const word = `preset.${name}`;
  return isWord(word) ? t(word) : title;
}
