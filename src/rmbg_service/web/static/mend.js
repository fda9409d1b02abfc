/** What a person has corrected in one result: strokes over the network's matte, with their undoing. */

import { fetchMatte } from "./api.js";
import { strokesImage } from "./strokes.js";

/** @typedef {import("./strokes.js").Stroke} Stroke */
/** The images that take the network's place in a request. @typedef {{matte: Blob, strokes: Blob | null, mode: "smart" | "exact"}} Guidance */

export class Mend {
  /** All strokes, also those that were undone. @type {Stroke[]} */
  #strokes = [];
  /** How many of them count. */
  #count = 0;
  /** Mattes after so many strokes: 0 is the network's. @type {Map<number, Promise<Blob>>} */
  #mattes = new Map();

  /** How the network's matte is asked for. @type {Record<string, string>} */
  #options = {};

  /**
   * @param {File} file
   * @param {{width: number, height: number}} size of the upright picture
   * @param {() => string} key
   */
  constructor(file, { width, height }, key) {
    this.file = file;
    this.size = { width, height };
    this.key = key;
  }

  /** How many strokes count. */
  get count() {
    return this.#count;
  }

  get canUndo() {
    return this.#count > 0;
  }

  get canRedo() {
    return this.#count < this.#strokes.length;
  }

  /** @param {Stroke} stroke */
  add(stroke) {
    this.#strokes = [...this.#strokes.slice(0, this.#count), stroke];
    this.#count = this.#strokes.length;
    for (const count of [...this.#mattes.keys()]) if (count >= this.#count) this.#mattes.delete(count);
  }

  undo() {
    this.#count = Math.max(this.#count - 1, 0);
  }

  redo() {
    this.#count = Math.min(this.#count + 1, this.#strokes.length);
  }

  /** Forget all strokes. */
  clear() {
    this.#strokes = [];
    this.#count = 0;
    for (const count of [...this.#mattes.keys()]) if (count > 0) this.#mattes.delete(count);
  }

  /**
   * A request knows one way to apply strokes. So the last ones of one way are sent as they are, on
   * the matte that those before them have made; null when there is none. Rejects with a `Problem`.
   * @param {Record<string, string>} options of the result: of them the matte depends on `detail` and `roi`
   * @returns {Promise<Guidance | null>}
   */
  async guidance({ detail, roi }) {
    if (detail !== this.#options.detail || roi !== this.#options.roi) this.#mattes.clear();
    this.#options = { ...(detail && { detail }), ...(roi && { roi }) };
    return this.#count > 0 ? this.#guidanceAt(this.#count) : null;
  }

  /**
   * @param {number} count of strokes
   * @returns {Promise<Guidance>}
   */
  async #guidanceAt(count) {
    const last = this.#strokes[count - 1];
    if (!last) return { matte: await this.#matteAt(0), strokes: null, mode: "smart" };
    let from = count - 1;
    while (this.#strokes[from - 1]?.smart === last.smart) from -= 1;
    const strokes = await strokesImage(this.#strokes.slice(from, count), this.size);
    return { matte: await this.#matteAt(from), strokes, mode: last.smart ? "smart" : "exact" };
  }

  /** @param {number} count */
  #matteAt(count) {
    let matte = this.#mattes.get(count);
    if (!matte) {
      matte = count === 0 ? this.#fetch(null) : this.#guidanceAt(count).then((each) => this.#fetch(each));
      this.#mattes.set(count, matte);
      matte.catch(() => this.#mattes.delete(count)); // the next stroke tries again
    }
    return matte;
  }

  /** @param {Guidance | null} guidance */
  #fetch(guidance) {
    return fetchMatte(this.file, this.#options, guidance, this.key());
  }
}
