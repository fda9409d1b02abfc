/** The result is dragged out of its preview: to the desktop, a folder, or another page. */

/** Whether a drag over the page is the page's own. */
let own = false;

export function isOwnDrag() {
  return own;
}

/**
 * A mouse drags the result while the whole of it is seen; zoomed in it moves the picture. The file
 * has to be there when the drag begins, so it is made as soon as the mouse comes.
 * @param {HTMLElement} element the preview
 * @param {() => object | null} shown the result on show; null while it cannot be dragged
 * @param {() => Promise<File | null>} make
 * @param {(shown: object) => void} taken what to do when the result has arrived somewhere
 */
export function startDragOut(element, shown, make, taken) {
  /** @type {File | null} */
  let file = null;
  /** What `file` was made of. @type {object | null} */
  let source = null;
  let url = "";
  const prepare = async () => {
    element.draggable = false;
    source = shown();
    const made = source ? await make().catch(() => null) : null;
    URL.revokeObjectURL(url);
    file = made;
    url = file ? URL.createObjectURL(file) : "";
    element.draggable = file !== null;
  };
  element.addEventListener("pointerenter", ({ pointerType }) => {
    if (pointerType === "mouse") prepare();
  });
  element.addEventListener("pointerleave", () => {
    if (!own) release();
  });
  const release = () => {
    URL.revokeObjectURL(url);
    [file, url] = [null, ""];
  };
  element.addEventListener("dragstart", (event) => {
    const data = event.dataTransfer;
    if (!file || !data || source !== shown()) return event.preventDefault();
    own = true;
    data.effectAllowed = "copy";
    data.setData("DownloadURL", `${file.type}:${file.name}:${url}`); // to the desktop, in Chromium
    data.items.add(file); // to another page
  });
  element.addEventListener("dragend", ({ dataTransfer }) => {
    own = false;
    if (source && dataTransfer?.dropEffect !== "none") taken(source);
    release();
  });
}
