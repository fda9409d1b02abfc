/** What a picture's state is called, and how far along it is. */

import { isWord, plural, t } from "./i18n.js";

/** @typedef {import("./picture.js").Picture} Picture */

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

/**
 * @param {Picture} picture
 * @param {boolean} ahead whether it waits for its turn
 */
export function stateText(picture, ahead) {
  switch (picture.state) {
    case "working":
      return stageText(picture);
    case "failed":
    case "refused":
      return picture.problem?.title ?? t("state.failed");
    case "waiting":
      return t(ahead ? "state.next" : "state.waiting");
    case "backoff":
      return t(picture.problem?.type === "network" ? "state.lost" : "state.backoff", { seconds: picture.seconds });
    default:
      return t(`state.${picture.state}`);
  }
}

/** @param {Picture} picture */
export function stageText({ progress }) {
  if (!progress) return "";
  const { stage, ahead = 0, fraction = 0 } = progress;
  if (stage === "queue" && ahead > 0) return plural("stage.ahead", ahead);
  const word = `stage.${stage}`;
  return isWord(word) ? t(word, { percent: Math.round(fraction * 100) }) : t("go.busy");
}

/** @param {Picture} picture */
export function waitText({ seconds, problem }) {
  if (problem?.type === "network") return t("backoff.network", { seconds });
  return t(problem?.type === "overloaded" ? "backoff" : "backoff.starting", { seconds });
}

/** Of the whole way of one picture. @param {import("./api.js").Progress | null} progress */
export function percent(progress) {
  if (!progress) return 0;
  const { stage, fraction = 0 } = progress;
  const share = { upload: UPLOAD_SHARE, download: DOWNLOAD_SHARE }[String(stage)] ?? 0;
  return (BEGINS[stage] ?? BEGINS.predict) + fraction * share;
}

/**
 * `7 of 9 done, 2 failed`; "" while nothing has come to an end.
 * @param {Picture[]} pictures
 */
export function tallyText(pictures) {
  const done = pictures.filter((each) => each.done).length;
  const failed = pictures.filter((each) => each.failed).length;
  if (done + failed === 0) return "";
  if (pictures.length === 1) return t(done ? "state.done" : "state.failed");
  if (done === pictures.length) return plural("tally.all", done);
  const some = plural("tally.some", done, { total: pictures.length });
  return failed ? t("tally.failed", { done: some, failed }) : some;
}
