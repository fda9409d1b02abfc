/** In the result's own panel: what becomes of the picture on show, what went wrong and what to do. */

import { byId, onClick } from "./dom.js";
import { isWord, t } from "./i18n.js";
import { stateText } from "./states.js";

/** @typedef {import("./picture.js").Picture} Picture */

export class Report {
  #notice = byId("notice", HTMLElement);
  #state = byId("result-state", HTMLElement);
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
    onClick(byId("notice-retry", HTMLButtonElement), () => {
      byId("go", HTMLButtonElement).focus();
      if (album.shown) runner.start([album.shown]);
    });
  }

  draw() {
    const picture = this.album.shown;
    const ahead = picture ? this.runner.ahead.includes(picture) : false;
    const works = picture && (picture.busy || ahead);
    this.#state.hidden = !works;
    byId("result-state-text", HTMLElement).textContent = works ? stateText(picture, ahead) : "";
    const problem = picture?.problem && !picture.busy ? picture.problem : null;
    const texts = problem ? this.#problemTexts(problem) : remarkTexts(picture);
    this.#notice.hidden = texts.length === 0;
    this.#notice.classList.toggle("mild", !problem);
    byId("result-panel", HTMLElement).classList.toggle("failed", Boolean(problem && !picture?.cutout));
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
  const { box, noShadow, limited } = picture.cutout;
  if (!box) return [t("empty.title"), t("empty.advice")];
  if (limited && !noShadow) return [t("limited.title"), t("limited.advice")];
  if (!noShadow) return [];
  if (noShadow === "too-faint") return [t("faint.title"), t("no-shadow.too-faint")]; // a drawn one, too
  const why = `no-shadow.${noShadow}`;
  return [t("no-shadow.title"), t("no-shadow.advice"), isWord(why) ? t(why) : noShadow];
}
