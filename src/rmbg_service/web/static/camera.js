/**
 * Which part of the picture is seen, and how large; shared by both previews.
 *
 * Points are in px of the original picture, also for a result that was cropped.
 */

const LEAST_ZOOM = 0.02;
const MOST_ZOOM = 16;
/** A zoom this close to actual size is actual size. */
const NEAR = 1e-3;

/** Tells with `change` that it was moved, with `look` that a person did. `zoom` is screen pixels for each of the picture's. */
export class Camera extends EventTarget {
  /** Each preview shows the whole of its own picture. */
  fits = true;
  zoom = 1;
  centre = { x: 0, y: 0 };

  fit() {
    this.fits = true;
    this.#moved();
  }

  /**
   * @param {number} zoom
   * @param {{x: number, y: number}} centre
   */
  look(zoom, centre) {
    this.fits = false;
    this.zoom = Math.abs(zoom - 1) < NEAR ? 1 : Math.min(Math.max(zoom, LEAST_ZOOM), MOST_ZOOM);
    this.centre = centre;
    this.#moved();
    this.dispatchEvent(new Event("look"));
  }

  #moved() {
    this.dispatchEvent(new Event("change"));
  }
}
