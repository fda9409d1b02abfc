/** The result is dragged out of its preview: to the desktop, a folder, or another page. */

/** Whether a drag over the page is the page's own. */
let own = false;

export function isOwnDrag() {
  return own;
}

/**
 * A mouse drags the result while the whole of it is seen; zoomed in it moves the picture. The file
 * has to be there when the drag begins, so it is made as soon as mouse and result are both there.
 * @param {HTMLElement} element the preview
 * @param {() => object | null} shown the result on show; null while it cannot be dragged
 * @param {() => Promise<File | null>} make
 * @param {(shown: object) => void} taken what to do when the result has arrived somewhere
 * @returns {() => void} to be called when files are made otherwise: the one at hand is then out of date
 */
export function startDragOut(element, shown, make, taken) {
  /** @type {File | null} */
  let file = null;
  /** What `file` was made of. @type {object | null} */
  let source = null;
  let url = "";
  const prepare = async () => {
    release();
    const wanted = (source = shown());
    const made = wanted && (await make().catch(() => null));
    if (!made || source !== wanted) return; // another result is on show, or the mouse has left
    [file, url] = [made, URL.createObjectURL(made)];
    element.draggable = true;
  };
  const release = () => {
    URL.revokeObjectURL(url);
    [file, url, source] = [null, "", null];
    element.draggable = false;
  };
  const releaseUnlessDragged = () => {
    if (!own) release();
  };
  for (const near of ["pointerenter", "pointermove"]) {
    element.addEventListener(near, (event) => {
      const idle = event instanceof PointerEvent && event.pointerType === "mouse" && event.buttons === 0;
      if (idle && shown() !== source) prepare(); // also when the result comes while the mouse is there
    });
  }
  element.addEventListener("pointerleave", releaseUnlessDragged);
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
  return releaseUnlessDragged;
}
