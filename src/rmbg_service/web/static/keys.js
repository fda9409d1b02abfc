/** The page's keys: `?` lists them, and those of a single character can be switched off there. */

import { byId, onClick } from "./dom.js";
import { COMMAND } from "./i18n.js";
import { recall, remember } from "./storage.js";

const TYPED_INTO = "input:not([type=checkbox], [type=radio], [type=range], [type=file]), select, textarea";
const KEPT = "rmbg.single-keys";

/** Whether somebody is writing there. @param {EventTarget | null} target */
export function isTyping(target) {
  return target instanceof Element && target.matches(TYPED_INTO);
}

/**
 * The single-character shortcut that is pressed, as a lower-case letter or a sign; "" for none.
 * Speech input types letters by mistake, so these can be switched off (WCAG 2.1.4).
 * @param {KeyboardEvent} event
 */
export function singleKey({ key, target, ctrlKey, metaKey, altKey }) {
  const on = byId("single-keys", HTMLInputElement).checked && !isTyping(target);
  return on && key.length === 1 && !ctrlKey && !metaKey && !altKey ? key.toLowerCase() : "";
}

export function startKeys() {
  const dialog = byId("keys", HTMLDialogElement);
  for (const key of dialog.querySelectorAll("kbd")) if (key.textContent === "Ctrl") key.textContent = COMMAND;
  const single = byId("single-keys", HTMLInputElement);
  single.checked = recall("localStorage", KEPT) !== "off";
  single.addEventListener("change", () => remember("localStorage", KEPT, single.checked ? "on" : "off"));
  onClick(byId("keys-open", HTMLButtonElement), () => dialog.showModal());
  onClick(byId("keys-close", HTMLButtonElement), () => dialog.close());
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // the page behind it does nothing
  dialog.addEventListener("click", ({ target }) => {
    if (target === dialog) dialog.close(); // outside of its content
  });
  addEventListener("keydown", (event) => {
    if (singleKey(event) !== "?" || dialog.open) return;
    event.preventDefault();
    dialog.showModal();
  });
}
