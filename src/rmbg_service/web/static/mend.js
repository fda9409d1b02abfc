/** What a person has corrected in one result: strokes over the network's matte, with their undoing. */

import { fetchMatte } from "./api.js";
import { NO_STROKES, strokesImage } from "./strokes.js";

/** @typedef {import("./strokes.js").Stroke} Stroke */
/** Never changed: the same strokes are the same array. @typedef {readonly Stroke[]} Strokes */
/** The images that take the network's place in a request. @typedef {{matte: Blob, strokes: Blob | null, mode: "smart" | "exact"}} Guidance */

export class Mend {
  /** The strokes that counted after each step, also after those that were undone. @type {Strokes[]} */
  #steps = [NO_STROKES];
  #at = 0;
  /** Mattes by the last stroke that is in them; the network's by `NO_STROKES`. @type {WeakMap<object, Promise<Blob>>} */
  #mattes = new WeakMap();
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

  /** Those that count. */
  get strokes() {
    return this.#steps[this.#at] ?? NO_STROKES;
  }

  get canUndo() {
    return this.#at > 0;
  }

  get canRedo() {
    return this.#at < this.#steps.length - 1;
  }

  /** @param {Stroke} stroke */
  add(stroke) {
    this.#step([...this.strokes, stroke]);
  }

  /** Take all strokes away, which can be undone, too. */
  clear() {
    this.#step(NO_STROKES);
  }

  undo() {
    this.#at = Math.max(this.#at - 1, 0);
  }

  redo() {
    this.#at = Math.min(this.#at + 1, this.#steps.length - 1);
  }

  /** @param {Strokes} strokes */
  #step(strokes) {
    this.#at += 1;
    this.#steps = [...this.#steps.slice(0, this.#at), strokes];
  }

  /**
   * A request knows one way to apply strokes. So the last ones of one way are sent as they are, on
   * the matte that those before them have made; null when there is none. Rejects with a `Problem`.
   * @param {Record<string, string>} options of the result: of them the matte depends on `detail` and `roi`
   * @returns {Promise<Guidance | null>}
   */
  async guidance({ detail, roi }) {
    if (detail !== this.#options.detail || roi !== this.#options.roi) this.#mattes = new WeakMap();
    this.#options = { ...(detail && { detail }), ...(roi && { roi }) };
    return this.strokes.length > 0 ? this.#guidanceFor(this.strokes) : null;
  }

  /**
   * @param {Strokes} strokes
   * @returns {Promise<Guidance>}
   */
  async #guidanceFor(strokes) {
    const smart = strokes.at(-1)?.smart ?? true;
    let from = strokes.length;
    while (strokes[from - 1]?.smart === smart) from -= 1;
    const image = await strokesImage(strokes.slice(from), this.size);
    return { matte: await this.#matteAfter(strokes.slice(0, from)), strokes: image, mode: smart ? "smart" : "exact" };
  }

  /** @param {Strokes} strokes */
  #matteAfter(strokes) {
    const [last, mattes] = [strokes.at(-1) ?? NO_STROKES, this.#mattes];
    let matte = mattes.get(last);
    if (!matte) {
      matte = strokes.length ? this.#guidanceFor(strokes).then((each) => this.#fetch(each)) : this.#fetch(null);
      mattes.set(last, matte);
      matte.catch(() => mattes.delete(last)); // the next stroke tries again
    }
    return matte;
  }

  /** @param {Guidance | null} guidance */
  #fetch(guidance) {
    return fetchMatte(this.file, this.#options, guidance, this.key());
  }
}
