/** The page's keys: `?` lists them. */

import { byId, onClick } from "./dom.js";

const TYPED_INTO = "input:not([type=checkbox], [type=radio], [type=range], [type=file]), select, textarea";

/** Whether somebody is writing there. @param {EventTarget | null} target */
export function isTyping(target) {
  return target instanceof Element && target.matches(TYPED_INTO);
}

export function startKeys() {
  const dialog = byId("keys", HTMLDialogElement);
  onClick(byId("keys-open", HTMLButtonElement), () => dialog.showModal());
  onClick(byId("keys-close", HTMLButtonElement), () => dialog.close());
  dialog.addEventListener("click", ({ target }) => {
    if (target === dialog) dialog.close(); // outside of its content
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "?" || isTyping(event.target) || dialog.open) return;
    event.preventDefault();
    dialog.showModal();
  });
}
