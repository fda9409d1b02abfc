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
const viewer = new Viewer();
new Save(album, viewer.backdrop, say);

startIntake((arrivals) => {
  byId("drop-none", HTMLElement).textContent = arrivals.length ? "" : t("drop.none");
  const pictures = arrivals.map(admit);
  if (pictures.length > 0) album.add(pictures);
  for (const picture of pictures) {
    if (picture.state === "waiting") drawThumb(picture.file).then((thumb) => keep(picture, thumb));
  }
});
onClick(byId("clear", HTMLButtonElement), () => {
  album.clear();
  byId("files", HTMLInputElement).focus();
});
album.addEventListener("change", drawSoon);
options.addEventListener("change", drawSoon);
languageChanges.addEventListener("change", draw);
runner.addEventListener("step", (event) => {
  if (event instanceof CustomEvent) heed(event.detail.what, event.detail.picture);
});
draw();
learn();

/**
 * A picture, refused right away when the service would never take it.
 * @param {import("./intake.js").Arrival} arrival
 */
function admit({ file, folder }) {
  const picture = new Picture(file, folder);
  const problem =
    file.type && !file.type.startsWith("image/") && file.type !== "application/octet-stream"
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
 * @param {"start" | "done" | "failed" | "backoff" | "cancelled"} what
 * @param {Picture} picture
 */
function heed(what, picture) {
  say(t(`say.${what}`, { name: picture.name, title: picture.problem?.title ?? "" }));
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
  try {
    info = await fetchInfo();
  } catch {
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
}

function draw() {
  const { pictures, shown } = album;
  const done = pictures.filter((picture) => picture.cutout).length;
  document.body.classList.toggle("started", pictures.length > 0);
  byId("drop-title", HTMLElement).textContent = t(pictures.length ? "drop.more" : "drop.title");
  byId("album", HTMLElement).hidden = pictures.length === 0;
  byId("zip", HTMLElement).hidden = done < 2;
  byId("tools", HTMLElement).hidden = !shown?.cutout;
  byId("tally", HTMLElement).textContent =
    pictures.length === 1 ? t("tally.one") : t("tally", { count: pictures.length, done });
  strip.draw();
  controls.draw();
  viewer.show(shown);
  drawFacts();
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
  const size = bytesText(info.limits.max_body_bytes);
  byId("formats", HTMLElement).textContent = t("drop.formats", { size });
}
