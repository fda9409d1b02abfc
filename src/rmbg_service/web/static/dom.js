/** Small helpers for the document. */

/** Images with more pixels are not shown: decoded, they could take all the memory that a tab has. */
const MOST_PIXELS = 100_000_000;

/**
 * The element with this id, which must be of this kind.
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
  return within(document, `#${id}`, kind);
}

/**
 * The first element that matches `selector`, which must be of this kind.
 * @template {Element} T
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} kind
 * @returns {T}
 */
export function within(root, selector, kind) {
  const found = root.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`the page has no ${selector}`);
  return found;
}

/**
 * A new element with a class and, if given, a text.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} className
 * @param {string} [text]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/**
 * An icon of the sprite in index.html.
 * @param {string} name
 */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.classList.add("icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/**
 * Whether an image, which has just been given its source, can be shown. Only its header has been read.
 * @param {HTMLImageElement} image
 * @returns {Promise<boolean>}
 */
export function isDrawable(image) {
  return new Promise((resolve) => {
    const heard = new AbortController(); // of two listeners only one is called, and both must go
    /** @param {boolean} drawable */
    const end = (drawable) => {
      heard.abort();
      resolve(drawable);
    };
    const { signal } = heard;
    image.addEventListener("load", () => end(!isTooLarge(image)), { signal });
    image.addEventListener("error", () => end(false), { signal });
  });
}

/** Whether an image has more pixels than are shown. @param {HTMLImageElement} image */
export function isTooLarge({ naturalWidth, naturalHeight }) {
  return naturalWidth * naturalHeight > MOST_PIXELS;
}

/**
 * Mark a button as one that does nothing now. Unlike `disabled` it keeps the focus.
 * @param {HTMLElement} button
 * @param {boolean} idle
 */
export function setIdle(button, idle) {
  button.setAttribute("aria-disabled", String(idle));
}

/**
 * Let `act` follow the clicks on `button`, but for those while it is idle.
 * @param {HTMLElement} button
 * @param {(event: MouseEvent) => void} act
 */
export function onClick(button, act) {
  button.addEventListener("click", (event) => {
    if (button.getAttribute("aria-disabled") !== "true") act(event);
  });
}
