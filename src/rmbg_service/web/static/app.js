/** The page: wires its parts. */

import { Album, Picture } from "./album.js";
import { fetchInfo } from "./api.js";
import { Controls } from "./controls.js";
import { byId, onClick } from "./dom.js";
import { bytesText, languageChanges, startLanguages, t } from "./i18n.js";
import { startIntake } from "./intake.js";
import { Key } from "./key.js";
import { Options } from "./options.js";
import { Problem } from "./problems.js";
import { Runner } from "./runner.js";
import { Save } from "./save.js";
import { Strip } from "./strip.js";
import { drawThumb } from "./thumbs.js";
import { Viewer } from "./viewer.js";

/** @type {import("./api.js").Info | null} */
let info = null;
/** What every service has, until it has told. @type {import("./api.js").Limits} */
const UNTOLD = { max_body_bytes: Infinity, max_image_pixels: Infinity };
const limits = () => info?.limits ?? UNTOLD;
const LEARN_AGAIN_MS = 10_000;

startLanguages();
const album = new Album();
const options = new Options();
const key = new Key(() => runner.start(runner.pending));
const runner = new Runner(
  album,
  () => options.chosen,
  () => key.value,
);
const strip = new Strip(album, runner);
const controls = new Controls(album, runner, limits);
const viewer = new Viewer(() => {
  byId("save-problem", HTMLElement).textContent = t("backdrop.unreadable");
});
const save = new Save(album, viewer.backdrop, () => key.value, say);

startIntake((arrivals) => {
  byId("drop-none", HTMLElement).textContent = arrivals.length ? "" : t("drop.none");
  const pictures = arrivals.map(admit);
  if (!runner.running) album.following = true;
  if (pictures.length > 0) album.add(pictures);
  for (const picture of pictures) {
    if (picture.state === "waiting") drawThumb(picture.file).then((thumb) => keep(picture, thumb));
  }
});
onClick(byId("clear", HTMLButtonElement), () => {
  const count = album.unsaved.length;
  if (count > 1 && !confirm(t("clear.sure", { count }))) return;
  album.clear();
  byId("files", HTMLInputElement).focus();
});
addEventListener("beforeunload", (event) => {
  if (runner.running || album.unsaved.length > 1) event.preventDefault(); // the browser asks
});
addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) runner.start(runner.pending);
});
album.addEventListener("change", drawSoon);
options.addEventListener("change", drawSoon);
languageChanges.addEventListener("change", () => {
  byId("drop-none", HTMLElement).textContent = ""; // it would stay in the old language
  draw();
});
runner.addEventListener("step", (event) => {
  if (event instanceof CustomEvent) heed(event.detail.what, event.detail.picture);
});
viewer.camera.addEventListener("look", () => {
  if (runner.running) album.following = false; // somebody is judging an edge
});
draw();
learn();

/**
 * A picture, refused right away when the service would never take it.
 * @param {import("./intake.js").Arrival} arrival
 */
function admit({ file, folder }) {
  const picture = new Picture(file, folder);
  const kind = file.type || "application/octet-stream";
  const picturesque = kind.startsWith("image/") && kind !== "image/svg+xml";
  const problem =
    !picturesque && kind !== "application/octet-stream"
      ? new Problem("not-an-image", file.type)
      : file.size === 0
        ? new Problem("invalid-image")
        : file.size > limits().max_body_bytes
          ? new Problem("file-too-large", bytesText(file.size))
          : null;
  if (problem) Object.assign(picture, { state: "refused", problem });
  return picture;
}

/**
 * @param {Picture} picture
 * @param {HTMLCanvasElement | null} thumb
 */
function keep(picture, thumb) {
  if (thumb) album.update(picture, { thumb });
}

/**
 * @param {"start" | "done" | "failed" | "backoff" | "cancelled" | "end"} what
 * @param {Picture | null} picture at the end the first one that failed
 */
function heed(what, picture) {
  if (what === "end") {
    if (picture) album.show(picture);
    if (album.pictures.length > 1) say([tallyText(), failedText()].filter(Boolean).join(", "));
  }
  if (what === "end" || !picture) return;
  const lost = what === "backoff" && picture.problem?.type === "network";
  say(t(lost ? "say.lost" : `say.${what}`, { name: picture.name, title: picture.problem?.title ?? "" }));
  if (what === "done" && runner.pending.length === 0) revealResult();
  if (what === "done" && picture.cutout) {
    drawThumb(picture.cutout.blob).then((thumb) => keep(picture, thumb));
  }
  if (picture.problem?.type === "unauthorized") {
    key.ask();
    key.focus();
  }
}

/** On a phone the result lies below what can be seen. */
function revealResult() {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (matchMedia("(max-width: 900px)").matches) {
    const behavior = calm ? "instant" : "smooth";
    byId("result-title", HTMLElement).scrollIntoView({ block: "start", behavior });
  }
}

/** Learn from the service what it is; until it answers the page works without. */
async function learn() {
  if (info) return;
  try {
    info = await fetchInfo(key.value);
  } catch (error) {
    if (error instanceof Problem && error.type === "unauthorized") key.ask();
    setTimeout(learn, LEARN_AGAIN_MS);
    return; // the first picture will tell what is wrong
  }
  options.offer(info.options);
  if (info.api_key_required) key.ask();
  draw();
}

/** Tell those who cannot see the page. @param {string} text */
function say(text) {
  byId("status", HTMLElement).textContent = text;
}

let soon = 0;
/** Draw once, however many changes there are before the next frame. */
function drawSoon() {
  cancelAnimationFrame(soon);
  soon = requestAnimationFrame(draw);
  if (document.hidden) controls.draw(); // no frames in a tab behind others, but its title is seen
}

function draw() {
  const { pictures, shown } = album;
  document.body.classList.toggle("started", pictures.length > 0);
  byId("drop-title", HTMLElement).textContent = t(pictures.length ? "drop.more" : "drop.title");
  byId("album", HTMLElement).hidden = pictures.length === 0;
  byId("zip", HTMLElement).hidden = pictures.filter(({ cutout }) => cutout).length < 2;
  byId("tools", HTMLElement).hidden = !shown?.cutout;
  byId("tally", HTMLElement).textContent = tallyText();
  const failed = byId("failed", HTMLElement);
  failed.textContent = failedText();
  failed.hidden = pictures.length < 2 || failed.textContent === "";
  strip.draw();
  controls.draw();
  save.draw();
  viewer.show(shown);
  drawFacts();
}

function tallyText() {
  const { pictures } = album;
  const done = pictures.filter((picture) => picture.done).length;
  return pictures.length === 1 ? t("tally.one") : t("tally", { count: pictures.length, done });
}

/** "" when none has failed. */
function failedText() {
  const count = album.pictures.filter(({ failed }) => failed).length;
  return count ? t("tally.failed", { count }) : "";
}

function drawFacts() {
  if (!info) return;
  const { model, version } = info;
  const closed = model.licence.toUpperCase().includes("-NC");
  const about = byId("about", HTMLElement);
  about.textContent = t("about", { model: model.name, licence: model.licence, version });
  if (closed) {
    const strong = document.createElement("strong");
    strong.textContent = t("about.nc", { licence: model.licence });
    about.append(" ", strong);
  }
  const { max_body_bytes: bytes, max_image_pixels: pixels } = info.limits;
  const most = { size: bytesText(bytes), pixels: Math.floor(pixels / 1e5) / 10 };
  byId("formats", HTMLElement).textContent = t("drop.formats", most);
}
