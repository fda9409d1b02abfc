/** The pictures' way through the service, a few at a time; waits and comes back when it is busy. */

import { removeBackground } from "./api.js";
import { Problem } from "./problems.js";

/** @typedef {import("./picture.js").Picture} Picture */

/** After these the next picture would fare no better. */
const ENDS_THE_RUN = new Set(["unauthorized", "network", "device-failure"]);
/** Seconds to wait for a lost connection before each new try. */
const RECONNECT_S = [2, 5, 15, 30, 60];
/** As many are under way at once, so that one is sent and another fetched while the service works. */
const AT_ONCE = 3;
/** If a picture took longer, in ms, they go one by one: they would wait for each other for too long. */
const QUICK_MS = 4000;

/** Tells with `step` what a listener who cannot see the page should hear. */
export class Runner extends EventTarget {
  /** @type {AbortController | null} */
  #run = null;
  /** End the waits for a busy service. @type {Set<() => void>} */
  #waits = new Set();
  /** Those under way, in the order they were begun. @type {Picture[]} */
  #working = [];
  /** How many may be under way: one, until the service has shown that it is quick. */
  #most = 1;
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
    if (!this.#run) return [];
    return this.album.pictures.filter((each) => each.state === "waiting" && !each.release && !this.#others.has(each));
  }

  /** Those under way, in the order they were begun. */
  get working() {
    return this.#working;
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
    const lacksStrokes = picture.applied !== picture.strokes && !picture.applying;
    return lacksStrokes || picture.madeWith !== queryOf(this.options(picture));
  }

  /**
   * Process `pictures`, and those that are added meanwhile, each with its options at its turn. A run
   * that is under way takes them, too. Those that were removed are left out.
   * @param {Picture[]} wanted
   */
  start(wanted) {
    const present = new Set(this.album.pictures);
    const pictures = wanted.filter((each) => present.has(each));
    if (pictures.length === 0) return;
    for (const each of pictures) each.release?.();
    if (!this.#run) {
      this.#run = new AbortController();
      [this.#ended, this.#began] = [0, performance.now()];
      this.album.following = true;
      this.#others = new Set(this.album.pictures);
    }
    this.#take(pictures);
    this.#begin(this.#run);
  }

  /** Begin pictures until as many are under way as may be. @param {AbortController} run */
  #begin(run) {
    for (let [picture] = this.ahead; picture && !run.signal.aborted; [picture] = this.ahead) {
      if (this.#working.length >= this.#most) return;
      this.#working.push(picture);
      this.#process(picture, run).then(() => this.#next(picture, run));
    }
  }

  /**
   * @param {Picture} picture that the run has ended with
   * @param {AbortController} run
   */
  #next(picture, run) {
    this.#working = this.#working.filter((each) => each !== picture);
    this.#ended += 1;
    this.#begin(run);
    if (this.#working[0]) this.album.show(this.#working[0]);
    else this.#end();
  }

  #end() {
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

  /** End the run; the pictures under way are dropped by the service, too. */
  cancel() {
    this.#run?.abort();
  }

  /** Wait no longer for a busy service. */
  tryNow() {
    for (const end of this.#waits) end();
  }

  /**
   * @param {Picture} picture
   * @param {AbortController} run
   */
  async #process(picture, run) {
    if (this.#working[0] === picture) this.album.show(picture);
    this.#say("start", picture);
    try {
      await this.#untilTaken(picture, this.options(picture), run.signal);
      this.#say("done", picture);
    } catch (error) {
      if (run.signal.aborted) {
        const another = run.signal.reason instanceof Problem; // another picture's has ended the run
        const state = picture.cutout ? "done" : another ? "waiting" : "cancelled"; // results stay
        this.album.update(picture, { state, progress: null, problem: null });
        if (!another) this.#say("cancelled", picture);
        return;
      }
      const problem = error instanceof Problem ? error : new Problem("other", String(error));
      this.album.update(picture, { state: "failed", progress: null, problem });
      this.#say("failed", picture);
      if (ENDS_THE_RUN.has(problem.type)) run.abort(problem);
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
      const sent = performance.now();
      try {
        const applied = picture.strokes;
        const guidance = (await unlessAborted(picture.mend?.guidance(options), signal)) ?? null;
        const cutout = await removeBackground(
          picture.file,
          options,
          this.key(),
          (progress) => this.album.update(picture, { progress }),
          signal,
          guidance,
        );
        this.#most = performance.now() - sent < QUICK_MS ? AT_ONCE : 1;
        const made = { cutout, madeWith: queryOf(options), applied, saved: false };
        return this.album.update(picture, { state: "done", progress: null, ...made });
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        const seconds = error.type === "network" ? RECONNECT_S[lost++] : error.retryAfter;
        if (!seconds) throw error;
        this.#most = 1;
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
        this.#waits.delete(end);
        resolve(undefined);
      };
      const timer = setInterval(() => {
        this.album.update(picture, { seconds: Math.ceil((until - Date.now()) / 1000) });
        if (picture.seconds <= 0) end();
      }, 1000);
      this.#waits.add(end);
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

/**
 * What `promise` gives, or the signal's reason as soon as it is aborted.
 * @template T
 * @param {Promise<T> | undefined} promise
 * @param {AbortSignal} signal
 * @returns {Promise<T | undefined>}
 */
function unlessAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    const end = () => reject(signal.reason);
    signal.addEventListener("abort", end, { once: true });
    Promise.resolve(promise).then(resolve, reject).finally(() => signal.removeEventListener("abort", end));
  });
}

/** @param {Record<string, string>} options */
export function queryOf(options) {
  return String(new URLSearchParams(options));
}
