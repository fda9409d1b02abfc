/** The pictures on the page, and which one is shown. */

import { Problem } from "./problems.js";

/**
 * `refused`: by the page itself, never to be sent.
 * @typedef {"waiting" | "working" | "backoff" | "done" | "failed" | "cancelled" | "refused"} State
 */

let lastId = 0;

/** A file and what has become of it. Holds no pixels: the browser keeps files and results. */
export class Picture {
  /**
   * @param {File} file
   * @param {string} [folder] that it came in: `shoes/red/`
   */
  constructor(file, folder = "") {
    this.id = ++lastId;
    this.file = file;
    this.folder = folder;
    /** @type {State} */
    this.state = "waiting";
    /** @type {import("./api.js").Progress | null} */
    this.progress = null;
    /** Seconds until the next try, in the state `backoff`. */
    this.seconds = 0;
    /** @type {Problem | null} */
    this.problem = null;
    /** @type {import("./api.js").Cutout | null} */
    this.cutout = null;
    /** The options that `cutout` was made with, as a query. */
    this.madeWith = "";
    /** Whether `cutout` has left the page. */
    this.saved = false;
    /** A small drawing of the original, then of the result. @type {HTMLCanvasElement | null} */
    this.thumb = null;
  }

  get name() {
    return this.file.name || "picture.png";
  }

  get busy() {
    return this.state === "working" || this.state === "backoff";
  }

  /** Whether another try may help: not when the picture itself is at fault. */
  get retriable() {
    return this.state === "failed" && !this.problem?.final;
  }

  /** Whether its result is the one that was asked for last. */
  get done() {
    return this.cutout !== null && !this.failed;
  }

  get failed() {
    return this.state === "failed" || this.state === "refused";
  }
}

/** The pictures in their order. Tells with `change` that something about them is new. */
export class Album extends EventTarget {
  /** @type {Picture[]} */
  pictures = [];
  /** @type {Picture | null} */
  shown = null;
  /** Whether what is in work or new is shown, or what a person looks at stays. */
  following = true;

  /** Results that would be lost with the page. */
  get unsaved() {
    return this.pictures.filter(({ cutout, saved }) => cutout && !saved);
  }

  /** @param {Picture[]} pictures */
  add(pictures) {
    this.pictures.push(...pictures);
    this.#follow(pictures[0]);
    this.changed();
  }

  /** @param {Picture} picture */
  remove(picture) {
    const place = this.pictures.indexOf(picture);
    if (place < 0) return;
    this.pictures.splice(place, 1);
    if (this.shown === picture) {
      this.shown = this.pictures[Math.min(place, this.pictures.length - 1)] ?? null;
    }
    this.changed();
  }

  /** Remove all but the one that is being worked on. */
  clear() {
    this.pictures = this.pictures.filter((picture) => picture.busy);
    this.shown = this.pictures[0] ?? null;
    this.changed();
  }

  /** Show what a person has chosen, and stay there. @param {Picture} picture */
  choose(picture) {
    this.following = false;
    this.shown = picture;
    this.changed();
  }

  /** Show what happens, unless a person looks at something else. @param {Picture} picture */
  show(picture) {
    this.#follow(picture);
    this.changed();
  }

  /**
   * Change some members of a picture.
   * @param {Picture} picture
   * @param {Partial<Picture>} members
   */
  update(picture, members) {
    Object.assign(picture, members);
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Picture | undefined} picture */
  #follow(picture) {
    if (picture && (this.following || !this.shown)) this.shown = picture;
  }
}
