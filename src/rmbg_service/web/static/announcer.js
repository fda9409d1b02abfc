/** What those hear who cannot see the page: every step of a few pictures, milestones of many. */

import { byId } from "./dom.js";
import { plural, t } from "./i18n.js";
import { tallyText } from "./states.js";

/** Of at most so many pictures each one is announced. */
const FEW = 3;
/** A longer run is announced after each such share of it. */
const SHARES = 4;

export class Announcer {
  #element = byId("status", HTMLElement);
  /** Whether the last step was that the service is busy or out of reach, which is said once. */
  #waits = false;
  /** How many shares of the run have been announced. */
  #shares = 0;

  /**
   * @param {import("./album.js").Album} album
   * @param {import("./runner.js").Runner} runner
   */
  constructor(album, runner) {
    this.album = album;
    this.runner = runner;
  }

  /** @param {string} text */
  announce(text) {
    this.#element.textContent = text;
  }

  /**
   * A step of a run.
   * @param {"start" | "done" | "failed" | "backoff" | "cancelled" | "end"} what
   * @param {import("./picture.js").Picture | null} picture
   */
  step(what, picture) {
    const waited = this.#waits;
    this.#waits = what === "backoff";
    if (what === "end" && this.album.pictures.length > 1) return this.announce(tallyText(this.album.pictures));
    if (what === "end" || !picture || (waited && this.#waits)) return;
    const { ended, ahead, working } = this.runner;
    if (what === "start" && working.length > 1) return;
    const total = ended + new Set([...working, ...ahead]).size;
    if (total <= FEW || what === "backoff" || what === "cancelled") return this.#announceOne(what, picture);
    if (what === "start") {
      if (ended > 0) return;
      this.#shares = 0;
      return this.announce(plural("say.run", total));
    }
    const count = ended + 1;
    const shares = Math.floor((count * SHARES) / total);
    if (shares > this.#shares && count < total) this.announce(t("say.part", { count, total }));
    this.#shares = shares;
  }

  /**
   * @param {"start" | "done" | "failed" | "backoff" | "cancelled"} what
   * @param {import("./picture.js").Picture} picture
   */
  #announceOne(what, { name, problem }) {
    const lost = what === "backoff" && problem?.type === "network";
    this.announce(t(lost ? "say.lost" : `say.${what}`, { name, title: problem?.title ?? "" }));
  }
}
