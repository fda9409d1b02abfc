/** One of the two previews: a picture under the shared camera. */

import { isDrawable, isTooLarge, within } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {{x: number, y: number, width: number, height: number}} Frame a rectangle in the original, px */

const PIXELS_FROM_ZOOM = 3;

export class Stage {
  /** @type {Frame | null} */
  frame = null;
  /** The last one, while the next picture is decoded: until then everything stays where it is. @type {Frame | null} */
  #before = null;
  /** What pointers and arrow keys move here. @type {"picture" | "brush" | "region"} */
  grip = "picture";
  /** @type {Blob | null} */
  #blob = null;
  #url = "";

  /**
   * @param {HTMLElement} element
   * @param {import("./camera.js").Camera} camera
   */
  constructor(element, camera) {
    this.element = element;
    this.camera = camera;
    this.image = within(element, ":scope > .layer", HTMLImageElement);
    this.empty = within(element, ".empty", HTMLElement);
    camera.addEventListener("change", () => this.place());
    new ResizeObserver(() => this.place()).observe(element);
  }

  get url() {
    return this.#url;
  }

  /** Whether it is known where pixels of the picture are seen: not before the first one is decoded. */
  get placed() {
    return this.#place !== null;
  }

  get #place() {
    return this.frame ?? this.#before;
  }

  /**
   * Show `blob`, or `text` in its place when there is none or the browser cannot show it. The
   * picture that was shown before is let go.
   * @param {Blob | null} blob
   * @param {string} alt
   * @param {string} text
   * @param {{x: number, y: number}} [origin] of a cropped picture
   * @returns {Promise<boolean>} whether it is shown
   */
  async show(blob, alt, text, origin = { x: 0, y: 0 }) {
    if (blob && blob === this.#blob && this.frame) {
      this.image.alt = alt; // in another language
      return true;
    }
    const url = blob ? URL.createObjectURL(blob) : "";
    URL.revokeObjectURL(this.#url);
    [this.#blob, this.#url] = [blob, url];
    [this.#before, this.frame] = [blob && this.#place, null];
    this.image.hidden = true;
    this.empty.textContent = blob ? "" : text;
    if (!blob) {
      this.image.removeAttribute("src");
      this.place();
      return false;
    }
    this.image.alt = alt;
    this.image.src = url;
    const decoded = (await isDrawable(this.image)) && (await this.image.decode().then(
      () => true,
      () => false,
    )); // prettier-ignore
    if (url !== this.#url) return false; // another picture was chosen meanwhile
    this.#before = null;
    if (decoded) {
      const { naturalWidth: width, naturalHeight: height } = this.image;
      this.frame = { ...origin, width, height };
    }
    this.image.hidden = !decoded;
    this.empty.textContent = decoded ? "" : isTooLarge(this.image) ? t("preview.large") : text;
    this.place();
    return decoded;
  }

  /** Screen pixels for each pixel of the picture. */
  get zoom() {
    const { element, camera } = this;
    const frame = this.#place;
    if (!camera.fits || !frame) return camera.zoom;
    const least = Math.min(element.clientWidth / frame.width, element.clientHeight / frame.height);
    return Math.min(least * devicePixelRatio, 1);
  }

  /** The point of the picture in the middle of the preview. */
  get centre() {
    const { camera } = this;
    const frame = this.#place;
    if (!camera.fits || !frame) return camera.centre;
    return { x: frame.x + frame.width / 2, y: frame.y + frame.height / 2 };
  }

  /** CSS px for each pixel of the picture. */
  get scale() {
    return this.zoom / devicePixelRatio;
  }

  /**
   * Where the picture's pixel (x, y) stands in the preview, in CSS px: on the grid of the screen's
   * own pixels, on which browsers paint the preview, too. So a picture in actual size is not blurred.
   * @param {number} x
   * @param {number} y
   */
  toScreen(x, y) {
    const { element, scale, centre } = this;
    return {
      x: snapped(element.clientWidth / 2 + (x - centre.x) * scale),
      y: snapped(element.clientHeight / 2 + (y - centre.y) * scale),
    };
  }

  /**
   * The pixel of the picture at (x, y) of the preview, in CSS px.
   * @param {number} x
   * @param {number} y
   */
  toPicture(x, y) {
    const { element, scale, centre } = this;
    return { x: centre.x + (x - element.clientWidth / 2) / scale, y: centre.y + (y - element.clientHeight / 2) / scale };
  }

  /**
   * Zoom, keeping the point under (x, y) of the preview, in CSS px, where it is.
   * @param {number} zoom
   * @param {number} [x]
   * @param {number} [y]
   */
  zoomTo(zoom, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2) {
    if (!this.frame) return;
    const centre = this.centre;
    const [right, down] = [x - this.element.clientWidth / 2, y - this.element.clientHeight / 2];
    const before = devicePixelRatio / this.zoom;
    const after = devicePixelRatio / zoom;
    this.#look(zoom, centre.x + right * (before - after), centre.y + down * (before - after));
  }

  /** Move the picture by CSS px. @param {number} right @param {number} down */
  pan(right, down) {
    if (!this.frame) return;
    const { centre, scale } = this;
    this.#look(this.zoom, centre.x - right / scale, centre.y - down / scale);
  }

  /** @param {number} zoom @param {number} x @param {number} y */
  #look(zoom, x, y) {
    const frame = this.frame;
    if (!frame) return;
    this.camera.look(zoom, {
      x: Math.min(Math.max(x, frame.x), frame.x + frame.width),
      y: Math.min(Math.max(y, frame.y), frame.y + frame.height),
    });
  }

  place() {
    this.element.classList.toggle("free", !this.camera.fits);
    if (this.frame) this.put(this.image, this.frame);
  }

  /**
   * Put an image whose own pixels are the picture's into its place. Browsers lay out in whole pixels
   * of the screen, so its box has one for each of its own, whatever their ratio to CSS px.
   * @param {HTMLImageElement} image
   * @param {Frame} frame
   */
  put(image, frame) {
    const { x, y } = this.toScreen(frame.x, frame.y);
    image.style.width = `${frame.width / devicePixelRatio}px`;
    image.style.height = `${frame.height / devicePixelRatio}px`;
    image.style.transform = `translate(${x}px, ${y}px) scale(${this.zoom})`;
    image.classList.toggle("pixels", this.zoom >= PIXELS_FROM_ZOOM || Number.isInteger(this.zoom));
  }
}

/** `place` in CSS px, moved to the grid of the screen's pixels. @param {number} place */
function snapped(place) {
  return Math.round(place * devicePixelRatio) / devicePixelRatio;
}
