/** Pictures come in: dropped, chosen or pasted. */

import { byId } from "./dom.js";

/** @param {(files: File[]) => void} take */
export function startIntake(take) {
  const zone = byId("drop", HTMLElement);
  const input = byId("files", HTMLInputElement);
  input.addEventListener("change", () => {
    take([...(input.files ?? [])]);
    input.value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length > 0) {
      event.preventDefault();
      take(files);
    }
  });
  // The whole page takes a drop: a miss would make the browser leave the page for the file.
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) zone.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    const items = [...(event.dataTransfer?.items ?? [])];
    const entries = items.map((item) => item.webkitGetAsEntry());
    const folders = new Set(entries.flatMap((entry) => (entry?.isDirectory ? [entry.name] : [])));
    take([...(event.dataTransfer?.files ?? [])].filter((file) => !folders.has(file.name)));
  });
}
