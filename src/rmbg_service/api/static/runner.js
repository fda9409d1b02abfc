/** One picture after another through the service; waits and comes back when it is busy. */

import { removeBackground } from "./api.js";
import { Problem } from "./problems.js";

/** @typedef {import("./album.js").Picture} Picture */

/** After these the next picture would fare no better. */
const ENDS_THE_RUN = new Set(["unauthorized", "network", "device-failure"]);

/** Tells with `step` what a listener who cannot see the page should hear. */
export class Runner extends EventTarget {
  /** @type {AbortController | null} */
  #run = null;
  #tryNow = () => {};

  /**
   * @param {import("./album.js").Album} album
   * @param {() => Record<string, string>} options
   * @param {() => string} key
   */
  constructor(album, options, key) {
    super();
    this.album = album;
    this.options = options;
    this.key = key;
  }

  get running() {
    return this.#run !== null;
  }

  /**
   * The pictures that a run would process: all but those that the page refused and those with a
   * result of these options.
   * @returns {Picture[]}
   */
  get pending() {
    const query = queryOf(this.options());
    return this.album.pictures.filter(
      ({ state, madeWith }) => state !== "refused" && (state !== "done" || madeWith !== query),
    );
  }

  /**
   * Process `pictures`, and those that are added meanwhile.
   * @param {Picture[]} pictures
   */
  async start(pictures) {
    if (this.#run || pictures.length === 0) return;
    const run = new AbortController();
    this.#run = run;
    const others = new Set(this.album.pictures);
    for (const picture of pictures) {
      others.delete(picture);
      this.album.update(picture, { state: "waiting", problem: null });
    }
    const next = () =>
      this.album.pictures.find((each) => each.state === "waiting" && !others.has(each));
    for (let picture = next(); picture && !run.signal.aborted; picture = next()) {
      await this.#process(picture, run);
    }
    this.#run = null;
    this.album.changed();
  }

  /** End the run; the picture in work is dropped by the service, too. */
  cancel() {
    this.#run?.abort();
  }

  /** Wait no longer for a busy service. */
  tryNow() {
    this.#tryNow();
  }

  /**
   * @param {Picture} picture
   * @param {AbortController} run
   */
  async #process(picture, run) {
    this.album.show(picture);
    this.#say("start", picture);
    try {
      await this.#untilTaken(picture, run.signal);
      this.#say("done", picture);
    } catch (error) {
      if (run.signal.aborted) {
        this.album.update(picture, { state: "cancelled", progress: null, problem: null });
        return this.#say("cancelled", picture);
      }
      const problem = error instanceof Problem ? error : new Problem("other", String(error));
      this.album.update(picture, { state: "failed", progress: null, problem });
      this.#say("failed", picture);
      if (ENDS_THE_RUN.has(problem.type)) run.abort();
    }
  }

  /**
   * @param {Picture} picture
   * @param {AbortSignal} signal
   */
  async #untilTaken(picture, signal) {
    for (;;) {
      const options = this.options();
      this.album.update(picture, { state: "working", progress: { stage: "upload" }, problem: null });
      try {
        const cutout = await removeBackground(
          picture.file,
          options,
          this.key(),
          (progress) => this.album.update(picture, { progress }),
          signal,
        );
        const madeWith = queryOf(options);
        return this.album.update(picture, { state: "done", progress: null, cutout, madeWith });
      } catch (error) {
        if (!(error instanceof Problem) || !error.retryAfter) throw error;
        this.album.update(picture, { state: "backoff", problem: error });
        this.#say("backoff", picture);
        await this.#countDown(picture, error.retryAfter, signal);
      }
    }
  }

  /**
   * @param {Picture} picture
   * @param {number} seconds
   * @param {AbortSignal} signal
   */
  async #countDown(picture, seconds, signal) {
    this.album.update(picture, { seconds });
    await new Promise((resolve) => {
      const end = () => {
        clearInterval(timer);
        resolve(undefined);
      };
      const timer = setInterval(() => {
        this.album.update(picture, { seconds: picture.seconds - 1 });
        if (picture.seconds <= 0) end();
      }, 1000);
      this.#tryNow = end;
      signal.addEventListener("abort", end);
    });
    signal.throwIfAborted();
  }

  /**
   * @param {"start" | "done" | "failed" | "backoff" | "cancelled"} what
   * @param {Picture} picture
   */
  #say(what, picture) {
    this.dispatchEvent(new CustomEvent("step", { detail: { what, picture } }));
  }
}

/** @param {Record<string, string>} options */
export function queryOf(options) {
  return String(new URLSearchParams(options));
}
