/** The button, the progress below it, and what to do when something went wrong. */

import { byId, onClick, setIdle, within } from "./dom.js";
import { isWord, t, timeText } from "./i18n.js";

/** @typedef {import("./album.js").Picture} Picture */

/** Per cent of the bar at which each stage begins. */
const BEGINS = {
  upload: 0,
  read: 30,
  queue: 34,
  decode: 40,
  predict: 48,
  refine: 68,
  encode: 80,
  download: 90,
};
const UPLOAD_SHARE = 30;
const DOWNLOAD_SHARE = 10;

export class Controls {
  #go = byId("go", HTMLButtonElement);
  #progress = byId("progress", HTMLElement);
  #bar = byId("progress-bar", HTMLProgressElement);
  #notice = byId("notice", HTMLElement);
  /** What the notice says, so that it is read aloud once. */
  #noticed = "";

  /**
   * @param {import("./album.js").Album} album
   * @param {import("./runner.js").Runner} runner
   * @param {() => import("./api.js").Limits} limits
   */
  constructor(album, runner, limits) {
    this.album = album;
    this.runner = runner;
    this.limits = limits;
    onClick(this.#go, () => runner.start(runner.pending));
    onClick(byId("cancel", HTMLButtonElement), () => {
      runner.cancel();
      this.#go.focus();
    });
    onClick(byId("now", HTMLButtonElement), () => {
      byId("cancel", HTMLButtonElement).focus(); // this one is about to be hidden
      runner.tryNow();
    });
    onClick(byId("notice-retry", HTMLButtonElement), () => {
      this.#go.focus();
      if (album.shown) runner.start([album.shown]);
    });
  }

  draw() {
    const { album, runner } = this;
    const idle = runner.pending.length === 0;
    const done = idle && album.pictures.some((picture) => picture.state === "done");
    const state = runner.running ? "busy" : done ? "done" : "ready";
    this.#go.dataset.state = state;
    setIdle(this.#go, idle || state !== "ready");
    within(this.#go, ".icon", SVGElement).toggleAttribute("hidden", state !== "done");
    const texts = { busy: t("go.busy"), done: t("go.done"), ready: readyText(runner.pending) };
    byId("go-text", HTMLElement).textContent = texts[state];
    this.#drawProgress(album.pictures.find((picture) => picture.busy));
    this.#drawNotice(album.shown);
  }

  /**
   * The bar is that of the whole run, and so is the tab's title.
   * @param {Picture | undefined} picture
   */
  #drawProgress(picture) {
    const focused = this.#progress.contains(document.activeElement);
    this.#progress.hidden = !picture;
    if (!picture && focused) this.#go.focus();
    document.title = t("title");
    if (!picture) return;
    const waits = picture.state === "backoff";
    const { ended } = this.runner;
    const left = this.runner.ahead.length + 1;
    const total = ended + left;
    const place = total > 1 ? `${ended + 1}/${total} · ` : "";
    const text = waits ? waitText(picture) : stageText(picture);
    document.title = place + document.title;
    byId("progress-text", HTMLElement).textContent = place + text;
    const seconds = left > 1 ? this.runner.secondsFor(left) : null;
    const rest = seconds === null ? "" : t("progress.left", { time: timeText(seconds) });
    byId("progress-more", HTMLElement).textContent = waits ? (picture.problem?.detail ?? "") : rest;
    byId("now", HTMLElement).hidden = !waits;
    this.#bar.hidden = waits;
    this.#bar.value = (ended * 100 + percent(picture.progress)) / total;
  }

  /** @param {Picture | null} picture */
  #drawNotice(picture) {
    const problem = picture?.problem && !picture.busy ? picture.problem : null;
    const texts = problem ? this.#problemTexts(problem) : remarkTexts(picture);
    this.#notice.hidden = texts.length === 0;
    this.#notice.classList.toggle("mild", !problem);
    byId("notice-retry", HTMLElement).hidden = !picture?.retriable || this.runner.running;
    if (texts.join() === this.#noticed) return;
    this.#noticed = texts.join();
    ["title", "advice", "detail"].forEach((part, place) => {
      byId(`notice-${part}`, HTMLElement).textContent = texts[place] ?? "";
    });
  }

  /**
   * Title, advice, and what the service itself says.
   * @param {import("./problems.js").Problem} problem
   */
  #problemTexts(problem) {
    const id = problem.requestId && t("problem.request", { id: problem.requestId });
    const detail = [problem.detail, id].filter(Boolean).join(" · ");
    return [problem.title, problem.advice(this.limits()), detail];
  }
}

/**
 * What to know about a result that is not quite what was asked for.
 * @param {Picture | null} picture
 */
function remarkTexts(picture) {
  if (picture?.state !== "done" || !picture.cutout) return [];
  const { box, noShadow } = picture.cutout;
  if (!box) return [t("empty.title"), t("empty.advice")];
  if (!noShadow) return [];
  const why = `no-shadow.${noShadow}`;
  return [t("no-shadow.title"), t("no-shadow.advice"), isWord(why) ? t(why) : noShadow];
}

/**
 * What the button would do.
 * @param {Picture[]} pending
 */
function readyText(pending) {
  const count = pending.length;
  if (count > 0 && pending.every(({ state }) => state === "failed")) {
    return count === 1 ? t("retry") : t("go.retry", { count });
  }
  return count > 1 ? t("go.count", { count }) : t("go");
}

/** @param {Picture} picture */
export function stageText({ progress }) {
  if (!progress) return "";
  const { stage, ahead = 0, fraction = 0 } = progress;
  if (stage === "queue" && ahead > 0) return t("stage.ahead", { ahead });
  const word = `stage.${stage}`;
  return isWord(word) ? t(word, { percent: Math.round(fraction * 100) }) : t("go.busy");
}

/** @param {Picture} picture */
function waitText({ seconds, problem }) {
  if (problem?.type === "network") return t("backoff.network", { seconds });
  return t(problem?.type === "overloaded" ? "backoff" : "backoff.starting", { seconds });
}

/** @param {import("./api.js").Progress | null} progress */
function percent(progress) {
  if (!progress) return 0;
  const { stage, fraction = 0 } = progress;
  const share = { upload: UPLOAD_SHARE, download: DOWNLOAD_SHARE }[String(stage)] ?? 0;
  return (BEGINS[stage] ?? BEGINS.predict) + fraction * share;
}
