/** What to do next: the large button, the run's progress above it, and what has come of it. */

import { byId, icon, onClick, setIdle, within } from "./dom.js";
import { plural, t, timeText } from "./i18n.js";
import { percent, stageText, tallyText, waitText } from "./states.js";

/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {"idle" | "ready" | "busy" | "partial" | "done"} State `partial`: some can be saved, others failed */

export class Dock {
  #go = byId("go", HTMLButtonElement);
  #progress = byId("progress", HTMLElement);
  #bar = byId("progress-bar", HTMLProgressElement);

  /**
   * @param {import("./album.js").Album} album
   * @param {import("./runner.js").Runner} runner
   * @param {import("./save.js").Save} save
   * @param {(picture: Picture) => void} open a picture in the previews
   */
  constructor(album, runner, save, open) {
    this.album = album;
    this.runner = runner;
    this.save = save;
    this.open = open;
    onClick(this.#go, () => this.act());
    onClick(byId("cancel", HTMLButtonElement), () => {
      if (runner.running) runner.cancel();
      else save.cancel();
      this.#go.focus();
    });
    onClick(byId("now", HTMLButtonElement), () => {
      byId("cancel", HTMLButtonElement).focus(); // this one is about to be hidden
      runner.tryNow();
    });
    onClick(byId("failed", HTMLButtonElement), () => this.#showNextFailed());
    onClick(byId("again", HTMLButtonElement), () => {
      this.#go.focus();
      runner.start(album.pictures.filter(({ retriable }) => retriable));
    });
  }

  /** What the button does now. */
  act() {
    if (this.#state === "ready") this.runner.start(this.#toStart);
    else if (this.#state !== "busy") this.save.download();
  }

  /** Start, unless there is nothing to start. */
  start() {
    this.runner.start(this.#toStart);
  }

  draw() {
    const state = this.#state;
    this.#go.dataset.state = state;
    const saves = state === "done" || state === "partial";
    setIdle(this.#go, state === "idle" || state === "busy" || (saves && this.save.empty));
    within(this.#go, ".icon", SVGElement).toggleAttribute("hidden", !saves);
    byId("go-text", HTMLElement).textContent = this.#goText(state);
    byId("go-kind", HTMLElement).textContent = saves ? this.save.kindText : "";
    byId("download", HTMLElement).hidden = saves && this.album.pictures.length === 1; // it would be the same
    this.#drawTally(state);
    const { working } = this.runner;
    this.#drawProgress(working.find(({ state }) => state === "working") ?? working[0]);
  }

  /** Pictures to process: those that failed only when there is nothing else. */
  get #toStart() {
    const { pending } = this.runner;
    const fresh = pending.filter(({ failed }) => !failed);
    return fresh.length ? fresh : pending;
  }

  /** @returns {State} */
  get #state() {
    const { album, runner } = this;
    if (runner.running || this.save.busy) return "busy";
    const toStart = this.#toStart;
    if (toStart.some(({ failed }) => !failed)) return "ready";
    if (album.results.length === 0) return toStart.length ? "ready" : "idle";
    return album.pictures.every(({ done }) => done) ? "done" : "partial";
  }

  /** @param {State} state */
  #goText(state) {
    if (state === "busy") return t("go.busy");
    if (state === "done" || state === "partial") return this.save.goText;
    const pictures = this.#toStart;
    const count = pictures.length;
    if (count > 0 && pictures.every(({ failed }) => failed)) return count === 1 ? t("retry") : plural("go.retry", count);
    if (count > 0 && pictures.every(({ cutout }) => cutout)) return plural("go.apply", count);
    return count > 1 ? plural("go.count", count) : t("go");
  }

  /** @param {State} state */
  #drawTally(state) {
    const { pictures } = this.album;
    const tally = byId("tally", HTMLElement);
    const text = tallyText(pictures);
    const good = state === "done";
    if (tally.textContent !== text || tally.classList.contains("good") !== good) {
      tally.replaceChildren(...(good ? [icon("done")] : []), text);
    }
    tally.classList.toggle("good", good);
    const failed = pictures.filter((each) => each.failed).length;
    const retriable = pictures.filter((each) => each.retriable).length;
    byId("failed", HTMLButtonElement).hidden = failed === 0 || pictures.length < 2;
    const again = byId("again", HTMLButtonElement);
    again.hidden = retriable === 0 || state !== "partial";
    again.textContent = plural("go.retry", retriable);
    byId("outcome", HTMLElement).hidden = text === "";
  }

  /**
   * The bar is that of the whole run, and so is the tab's title.
   * @param {Picture | undefined} picture whose stage is told
   */
  #drawProgress(picture) {
    const saving = picture ? null : this.save.progress;
    const shown = Boolean(picture ?? saving);
    if (!shown && this.#progress.contains(document.activeElement)) this.#go.focus();
    this.#progress.hidden = !shown;
    if (saving) this.#drawSaving(saving);
    if (!picture) return name(t("title"));
    const waits = picture.state === "backoff";
    const { ahead, ended, working } = this.runner;
    const left = ahead.length + working.length;
    const total = ended + left;
    const place = total > 1 ? `${ended + 1}/${total} · ` : "";
    name(place + t("title"));
    byId("progress-text", HTMLElement).textContent = place + (waits ? waitText(picture) : stageText(picture));
    const seconds = left > 1 ? this.runner.secondsFor(left) : null;
    const rest = seconds === null ? "" : t("progress.left", { time: timeText(seconds) });
    byId("progress-more", HTMLElement).textContent = waits ? (picture.problem?.detail ?? "") : rest;
    byId("now", HTMLElement).hidden = !waits;
    this.#bar.hidden = waits;
    const begun = working.reduce((sum, { progress }) => sum + percent(progress), 0);
    this.#bar.value = (ended * 100 + begun) / total;
  }

  /** @param {{text: string, share: number | null}} saving */
  #drawSaving({ text, share }) {
    byId("progress-text", HTMLElement).textContent = text;
    byId("progress-more", HTMLElement).textContent = "";
    byId("now", HTMLElement).hidden = true;
    this.#bar.hidden = share === null;
    this.#bar.value = (share ?? 0) * 100;
  }

  #showNextFailed() {
    const { pictures, shown } = this.album;
    const place = shown ? pictures.indexOf(shown) + 1 : 0;
    const next = [...pictures.slice(place), ...pictures.slice(0, place)].find(({ failed }) => failed);
    if (next) this.open(next);
  }
}

/** Give the tab a title, which costs more than to see that it has it. @param {string} title */
function name(title) {
  if (document.title !== title) document.title = title;
}
