/** A file, and what has become of it. */

import { Problem } from "./problems.js";
import { NO_STROKES } from "./strokes.js";

/**
 * `refused`: by the page itself, never to be sent.
 * @typedef {"waiting" | "working" | "backoff" | "done" | "failed" | "cancelled" | "refused"} State
 */

let lastId = 0;

/** Holds no pixels: the browser keeps files and results. */
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
    /** @type {import("./cutout.js").Cutout | null} */
    this.cutout = null;
    /** The options that `cutout` was made with, as a query. */
    this.madeWith = "";
    /** Options of its own, where they differ from those for all. @type {import("./storage.js").Values | null} */
    this.options = null;
    /** Where its subject is looked for; null for everywhere. @type {import("./marquee.js").Region | null} */
    this.region = null;
    /** What was painted on its result. @type {import("./mend.js").Mend | null} */
    this.mend = null;
    /** The strokes that `cutout` has in it, as `mend` holds them. */
    this.applied = NO_STROKES;
    /** Whether the strokes painted last are on their way into `cutout`. */
    this.applying = false;
    /** Ends the touching up that is under way: until then a run leaves the picture alone. @type {(() => void) | null} */
    this.release = null;
    /** Whether `cutout` has left the page. */
    this.saved = false;
    /** A small image of the original, then of the result. @type {Blob | null} */
    this.thumb = null;
  }

  get name() {
    return this.file.name || "picture.png";
  }

  get busy() {
    return this.state === "working" || this.state === "backoff";
  }

  /** The strokes that count now. */
  get strokes() {
    return this.mend?.strokes ?? NO_STROKES;
  }

  /** Whether strokes are being applied that `cutout` lacks. */
  get lacksStrokes() {
    return this.applied !== this.strokes && (this.applying || this.busy || this.state === "waiting");
  }

  /** Whether another try may help: not when the picture itself is at fault. */
  get retriable() {
    return this.state === "failed" && !this.problem?.final;
  }

  /** Whether its result is the one that was asked for last. */
  get done() {
    return this.state === "done";
  }

  get failed() {
    return this.state === "failed" || this.state === "refused";
  }
}
