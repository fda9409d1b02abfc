/** One picture after another through the service; waits and comes back when it is busy. */

import { removeBackground } from "./api.js";
import { Problem } from "./problems.js";

/** @typedef {import("./picture.js").Picture} Picture */

/** After these the next picture would fare no better. */
const ENDS_THE_RUN = new Set(["unauthorized", "network", "device-failure"]);
/** Seconds to wait for a lost connection before each new try. */
const RECONNECT_S = [2, 5, 15];

/** Tells with `step` what a listener who cannot see the page should hear. */
export class Runner extends EventTarget {
  /** @type {AbortController | null} */
  #run = null;
  #tryNow = () => {};
  /** Those that are not part of the run. @type {Set<Picture>} */
  #others = new Set();
  /** Pictures that the run has ended with, and when it began, in ms. */
  #ended = 0;
  #began = 0;

  /**
   * @param {import("./album.js").Album} album
   * @param {(picture: Picture) => Record<string, string>} options of one picture
   * @param {() => string} key
   */
  constructor(album, options, key) {
    super();
    this.album = album;
    this.options = options;
    this.key = key;
    addEventListener("online", () => this.tryNow());
  }

  get running() {
    return this.#run !== null;
  }

  /** Those that the run has still to begin. */
  get ahead() {
    return this.#run
      ? this.album.pictures.filter((each) => each.state === "waiting" && !this.#others.has(each))
      : [];
  }

  /** Those that the run has ended with. */
  get ended() {
    return this.#ended;
  }

  /**
   * Seconds for `count` more pictures at the run's pace so far; null before there is one.
   * @param {number} count
   */
  secondsFor(count) {
    return this.#ended ? ((performance.now() - this.#began) / 1000 / this.#ended) * count : null;
  }

  /**
   * The pictures that a run would process: all but those with a result of these options and those
   * that can have none.
   * @returns {Picture[]}
   */
  get pending() {
    return this.album.pictures.filter((picture) => {
      const final = picture.failed && picture.problem?.final;
      return !final && (picture.state !== "done" || this.#stale(picture));
    });
  }

  /** Those with a result of other options than those chosen now. */
  get stale() {
    return this.album.pictures.filter((picture) => picture.state === "done" && this.#stale(picture));
  }

  /** @param {Picture} picture */
  #stale(picture) {
    return picture.madeWith !== queryOf(this.options(picture));
  }

  /**
   * Process `pictures`, and those that are added meanwhile, each with its options at its turn. A run
   * that is under way takes them, too.
   * @param {Picture[]} pictures
   */
  async start(pictures) {
    if (pictures.length === 0) return;
    if (this.#run) return this.#take(pictures);
    const run = new AbortController();
    [this.#run, this.#ended, this.#began] = [run, 0, performance.now()];
    this.album.following = true;
    this.#others = new Set(this.album.pictures);
    this.#take(pictures);
    for (let [picture] = this.ahead; picture && !run.signal.aborted; [picture] = this.ahead) {
      await this.#process(picture, run);
      this.#ended += 1;
    }
    this.#run = null;
    const mine = this.album.pictures.filter((each) => !this.#others.has(each));
    for (const picture of mine) {
      if (picture.state === "waiting" && picture.cutout) picture.state = "done"; // not begun again
    }
    this.#say("end", mine.find(({ state }) => state === "failed") ?? null);
    this.album.following = true;
    this.album.changed();
  }

  /** @param {Picture[]} pictures */
  #take(pictures) {
    for (const picture of pictures) {
      this.#others.delete(picture);
      if (!picture.busy) this.album.update(picture, { state: "waiting", problem: null });
    }
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
      await this.#untilTaken(picture, this.options(picture), run.signal);
      this.#say("done", picture);
    } catch (error) {
      if (run.signal.aborted) {
        const state = picture.cutout ? "done" : "cancelled"; // an earlier result stays
        this.album.update(picture, { state, progress: null, problem: null });
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
   * @param {Record<string, string>} options
   * @param {AbortSignal} signal
   */
  async #untilTaken(picture, options, signal) {
    for (let lost = 0; ; ) {
      this.album.update(picture, { state: "working", progress: { stage: "upload" }, problem: null });
      try {
        const cutout = await removeBackground(
          picture.file,
          options,
          this.key(),
          (progress) => this.album.update(picture, { progress }),
          signal,
          (await picture.mend?.guidance(options)) ?? null,
        );
        const madeWith = queryOf(options);
        const made = { cutout, madeWith, saved: false };
        return this.album.update(picture, { state: "done", progress: null, ...made });
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        const seconds = error.type === "network" ? RECONNECT_S[lost++] : error.retryAfter;
        if (!seconds) throw error;
        this.album.update(picture, { state: "backoff", problem: error });
        this.#say("backoff", picture);
        await this.#countDown(picture, seconds, signal);
      }
    }
  }

  /**
   * @param {Picture} picture
   * @param {number} seconds
   * @param {AbortSignal} signal
   */
  async #countDown(picture, seconds, signal) {
    const until = Date.now() + seconds * 1000; // ticks come late in a hidden tab
    this.album.update(picture, { seconds });
    await new Promise((resolve) => {
      const end = () => {
        clearInterval(timer);
        resolve(undefined);
      };
      const timer = setInterval(() => {
        this.album.update(picture, { seconds: Math.ceil((until - Date.now()) / 1000) });
        if (picture.seconds <= 0) end();
      }, 1000);
      this.#tryNow = end;
      signal.addEventListener("abort", end);
    });
    signal.throwIfAborted();
  }

  /**
   * @param {"start" | "done" | "failed" | "backoff" | "cancelled" | "end"} what
   * @param {Picture | null} picture at the end the first one that failed
   */
  #say(what, picture) {
    this.dispatchEvent(new CustomEvent("step", { detail: { what, picture } }));
  }
}

/** @param {Record<string, string>} options */
export function queryOf(options) {
  return String(new URLSearchParams(options));
}
