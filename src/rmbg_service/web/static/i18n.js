/** The page's language: the browser's, or the one that was chosen here before. */

import en from "./locales/en.js";
import zh from "./locales/zh.js";
import { recall, remember } from "./storage.js";

/** @typedef {keyof typeof en} Word */
/** Chinese has one form for every number. @typedef {Exclude<Word, `${string}.one`>} ChineseWord */
/** `tally` of `tally.one` and `tally.other`. @typedef {Word extends infer W ? W extends `${infer Base}.other` ? Base : never : never} Counted */
/** @typedef {"en" | "zh"} Language */

/** @type {{en: Record<Word, string>, zh: Record<ChineseWord, string> & Partial<Record<Word, string>>}} */
const WORDS = { en, zh };
const KEPT = "rmbg.language";

/** @type {Language} */
let language = preferred();

/** Macs have another key than the texts say. */
export const COMMAND = /Mac|iP(hone|ad)/.test(navigator.platform) ? "⌘" : "Ctrl";

/** Texts of elements that stay, to be said again in another language. @type {Map<Element, () => string>} */
const said = new Map();

/** Tells with `change` that the language is another one. */
export const languageChanges = new EventTarget();

/**
 * The text for `word`, with those of its `{names}` filled in that have values.
 * @param {Word} word
 * @param {Record<string, string | number>} [values]
 */
export function t(word, values = {}) {
  const text = (WORDS[language][word] ?? en[word]).replace("Ctrl", COMMAND);
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * The form of `word` that this language has for `count`, which is filled in as `{count}`.
 * @param {Counted} word
 * @param {number} count
 * @param {Record<string, string | number>} [values]
 */
export function plural(word, count, values = {}) {
  const form = `${word}.${new Intl.PluralRules(locale()).select(count)}`;
  const shown = language === "zh" ? String(count) : count.toLocaleString(locale());
  return t(isWord(form) ? form : `${word}.other`, { count: shown, ...values });
}

/**
 * Put a text into an element, and again when the language changes.
 * @param {Element} element
 * @param {() => string} text
 */
export function say(element, text) {
  said.set(element, text);
  element.textContent = text();
}

/** `50 megapixels`, in Chinese `5000 万像素`. @param {number} pixels */
export function pixelsText(pixels) {
  const unit = language === "zh" ? 1e4 : 1e6;
  return plural("pixels", Math.floor((pixels / unit) * 10) / 10);
}

/**
 * Whether there is a text for `word`.
 * @param {string} word
 * @returns {word is Word}
 */
export function isWord(word) {
  return word in en;
}

/** @param {number} bytes */
export function bytesText(bytes) {
  if (bytes < 1e3) return unitText(bytes, "byte", 0);
  const [value, unit] = bytes < 1e6 ? [bytes / 1e3, "kilobyte"] : [bytes / 1e6, "megabyte"];
  return unitText(value, unit, value < 10 ? 1 : 0);
}

/** @param {number} seconds */
export function timeText(seconds) {
  return seconds < 90 ? unitText(seconds, "second", 0) : unitText(seconds / 60, "minute", 0);
}

/** They are costly to make. @type {Map<string, Intl.NumberFormat>} */
const formats = new Map();

/**
 * @param {number} value
 * @param {string} unit
 * @param {number} digits after the point, at the most
 */
function unitText(value, unit, digits) {
  const name = `${locale()} ${unit} ${digits}`;
  const made =
    formats.get(name) ??
    new Intl.NumberFormat(locale(), {
      style: "unit",
      unit,
      unitDisplay: "short",
      maximumFractionDigits: digits,
    });
  formats.set(name, made);
  return made.format(value).replace(/(?<=\d)(?=\p{Script=Han})/u, " "); // as the other texts are
}

/** Translate the document and make its switch work. */
export function startLanguages() {
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      const chosen = button.getAttribute("data-language") === "zh" ? "zh" : "en";
      language = chosen;
      remember("localStorage", KEPT, chosen);
      translate();
      languageChanges.dispatchEvent(new Event("change"));
    });
  }
  translate();
}

function translate() {
  document.documentElement.lang = locale();
  for (const button of document.querySelectorAll("[data-language]")) {
    const chosen = button.getAttribute("data-language") === language;
    button.setAttribute("aria-pressed", String(chosen));
  }
  for (const [element, text] of said) element.textContent = text();
  each("data-i18n", (element, text) => (element.textContent = text));
  each("data-i18n-title", (element, text) => element.setAttribute("title", text));
  each("data-i18n-label", (element, text) => {
    element.setAttribute("aria-label", text);
    if (element instanceof HTMLButtonElement) element.title = text;
  });
}

/**
 * @param {string} attribute
 * @param {(element: Element, text: string) => void} act
 */
function each(attribute, act) {
  for (const element of document.querySelectorAll(`[${attribute}]`)) {
    const word = element.getAttribute(attribute) ?? "";
    if (isWord(word)) act(element, t(word));
  }
}

/** @returns {Language} */
function preferred() {
  const kept = recall("localStorage", KEPT);
  if (kept === "en" || kept === "zh") return kept;
  const known = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in WORDS);
  return known === "zh" ? "zh" : "en";
}

/** The language as a tag of BCP 47. */
export function locale() {
  return language === "zh" ? "zh-CN" : "en";
}
