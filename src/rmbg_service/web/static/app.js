/** The page: wires its parts. */

import { Album } from "./album.js";
import { Announcer } from "./announcer.js";
import { fetchInfo, refusals } from "./api.js";
import { Brush } from "./brush.js";
import { Dock } from "./dock.js";
import { byId } from "./dom.js";
import { startDragOut } from "./dragout.js";
import { bytesText, languageChanges, pixelsText, plural, say, startLanguages, t } from "./i18n.js";
import { startIntake } from "./intake.js";
import { Key } from "./key.js";
import { isTyping, startKeys } from "./keys.js";
import { Options } from "./options.js";
import { Picture } from "./picture.js";
import { Problem } from "./problems.js";
import { RegionTool } from "./region.js";
import { Report } from "./report.js";
import { Runner } from "./runner.js";
import { Save } from "./save.js";
import { startSharing } from "./shared.js";
import { Sheet } from "./sheet.js";
import { recall, remember } from "./storage.js";
import { drawThumb } from "./thumbs.js";
import { Toast } from "./toast.js";
import { Viewer } from "./viewer.js";

/** @type {import("./api.js").Info | null} */
let info = null;
/** What every service has, until it has told. @type {import("./api.js").Limits} */
const UNTOLD = { max_body_bytes: Infinity, max_image_pixels: Infinity };
const limits = () => info?.limits ?? UNTOLD;
const LEARN_AGAIN_MS = 10_000;
let learnsAgain = 0;
const KEPT_AUTOSTART = "rmbg.autostart";

startLanguages();
startKeys();
const album = new Album();
const options = new Options(album);
const key = new Key(() => {
  learn();
  dock.start();
});
const runner = new Runner(
  album,
  (picture) => options.of(picture),
  () => key.value,
);
const announcer = new Announcer(album, runner);
const toast = new Toast();
const sheet = new Sheet(album, runner);
const viewer = new Viewer(() => {
  say(byId("save-problem", HTMLElement), () => t("backdrop.unreadable"));
});
const save = new Save(album, viewer.backdrop, () => key.value, (text) => announcer.announce(text));
const dock = new Dock(album, runner, save, (picture) => sheet.open(picture));
const brush = new Brush(
  album,
  viewer,
  (picture) => options.of(picture),
  () => key.value,
  runner,
);
const region = new RegionTool(album, viewer.original);
const report = new Report(album, runner, limits);
const autostart = byId("autostart", HTMLInputElement);

startIntake(receive, () => say(byId("drop-none", HTMLElement), () => t("drop.link")));
startSharing().then((files) => {
  if (files) receive(files.map((file) => ({ file, folder: "" })));
});
const releaseDragged = startDragOut(
  byId("result", HTMLElement),
  () => {
    const { shown } = album;
    const free = viewer.camera.fits && !viewer.compares && !brush.active && !shown?.lacksStrokes;
    return free && save.quick ? (shown?.cutout ?? null) : null;
  },
  () => save.fileOfShown(),
  (shown) => {
    for (const picture of album.pictures) if (picture.cutout === shown) picture.saved = true;
  },
);
sheet.addEventListener("remove", (event) => {
  if (event instanceof CustomEvent) remove(event.detail);
});
autostart.checked = recall("localStorage", KEPT_AUTOSTART) !== "off";
autostart.addEventListener("change", () => {
  remember("localStorage", KEPT_AUTOSTART, autostart.checked ? "on" : "off");
  if (autostart.checked) dock.start();
});
addEventListener("beforeunload", (event) => {
  const work = album.unsaved.length > 1 || album.unsaved.some(({ strokes }) => strokes.length > 0);
  if (runner.running || save.busy || work) event.preventDefault(); // the browser asks
});
addEventListener("keydown", (event) => {
  if (!event.ctrlKey && !event.metaKey) return;
  if (event.key === "Enter") dock.start();
  if (event.key === "z" && !brush.active && !isTyping(event.target)) toast.undo();
});
album.inUse = () => brush.active || region.active;
album.addEventListener("change", drawSoon);
options.addEventListener("change", drawSoon);
save.addEventListener("change", releaseDragged);
brush.addEventListener("begin", () => region.cancel());
region.addEventListener("begin", () => brush.stop());
region.addEventListener("set", (event) => {
  if (event instanceof CustomEvent && event.detail.cutout) runner.start([event.detail]);
});
brush.addEventListener("made", (event) => {
  if (event instanceof CustomEvent) drawResult(event.detail);
});
languageChanges.addEventListener("change", draw);
runner.addEventListener("step", (event) => {
  if (event instanceof CustomEvent) heed(event.detail.what, event.detail.picture);
});
refusals.addEventListener("unauthorized", () => key.ask());
viewer.camera.addEventListener("look", () => {
  if (runner.running) album.following = false; // somebody is judging an edge
});
draw();
learn();

/** Take what comes in, but for what is here already. @param {import("./intake.js").Arrival[]} arrivals */
function receive(arrivals) {
  say(byId("drop-none", HTMLElement), () => (arrivals.length ? "" : t("drop.none")));
  const twins = album.twinsAmong(arrivals);
  take(arrivals.filter((each) => !twins.includes(each)));
  const [first] = twins;
  if (first) {
    const [{ name }, count] = [first.file, twins.length];
    const text = () => (count === 1 ? t("twins.named", { name }) : plural("twins", count));
    toast.show(text, () => t("twins.add"), () => take(twins));
  }
}

/** @param {import("./intake.js").Arrival[]} arrivals */
function take(arrivals) {
  const pictures = arrivals.map(admit);
  if (!runner.running) album.following = true;
  if (pictures.length > 0) album.add(pictures);
  const waiting = pictures.filter(({ state }) => state === "waiting");
  for (const picture of waiting) drawThumb(() => (picture.cutout ? null : picture.file)).then((thumb) => keep(picture, thumb));
  if (autostart.checked) runner.start(waiting);
}

/** Take pictures off the page, for good once the toast is gone. @param {Picture[]} pictures */
function remove(pictures) {
  if (pictures.every(({ busy }) => busy)) return;
  toast.hide(); // ends what was removed before, not what is removed now
  const gone = album.remove(pictures);
  const [first] = gone;
  if (!first) return;
  const [{ name }, count] = [first, gone.length]; // not the pictures: the toast outlives them
  const text = () => (count === 1 ? t("removed.named", { name }) : plural("removed", count));
  toast.show(text, () => t("undo"), () => album.restore(), { undoes: true, end: () => album.forget() });
}

/**
 * A picture, refused right away when the service would never take it.
 * @param {import("./intake.js").Arrival} arrival
 */
function admit({ file, folder }) {
  const picture = new Picture(file, folder);
  const problem = flawOf(file);
  if (problem) Object.assign(picture, { state: "refused", problem });
  return picture;
}

/** @param {File} file */
function flawOf({ type, size }) {
  if (size === 0) return new Problem("empty-file");
  if (type === "image/svg+xml") return new Problem("unsupported-media-type", type);
  if (type && type !== "application/octet-stream" && !type.startsWith("image/")) return new Problem("not-an-image", type);
  return size > limits().max_body_bytes ? new Problem("file-too-large", bytesText(size)) : null;
}

/**
 * @param {Picture} picture
 * @param {Blob | null} thumb
 */
function keep(picture, thumb) {
  if (thumb) album.update(picture, { thumb });
}

/** @param {Picture} picture */
function drawResult(picture) {
  drawThumb(() => picture.cutout?.blob ?? null, true).then((thumb) => keep(picture, thumb));
}

/**
 * @param {"start" | "done" | "failed" | "backoff" | "cancelled" | "end"} what
 * @param {Picture | null} picture at the end the first one that failed
 */
function heed(what, picture) {
  announcer.step(what, picture);
  if (what === "end" && picture) album.show(picture);
  if (what === "end" || !picture) return;
  if (what === "done" && runner.pending.length === 0) revealResult();
  if (what === "done") drawResult(picture);
  if (picture.problem?.type === "unauthorized") key.focus();
  else if (what === "done") key.accept();
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
  clearTimeout(learnsAgain);
  if (info) return;
  try {
    info = await fetchInfo(key.value);
  } catch {
    clearTimeout(learnsAgain);
    learnsAgain = setTimeout(learn, LEARN_AGAIN_MS);
    return; // the first picture will tell what is wrong
  }
  options.offer(info.options, info.presets ?? []);
  brush.offer(info.images?.includes("strokes") ?? false);
  region.offer("roi" in info.options);
  if (info.api_key_required) key.ask();
  draw();
}

let soon = 0;
/** Draw once, however many changes there are before the next frame. */
function drawSoon() {
  cancelAnimationFrame(soon);
  soon = requestAnimationFrame(draw);
  if (document.hidden) dock.draw(); // no frames in a tab behind others, but its title is seen
}

function draw() {
  const { pictures, shown } = album;
  document.body.classList.toggle("started", pictures.length > 0);
  byId("drop-title", HTMLElement).textContent = t(pictures.length ? "drop.more" : "drop.title");
  byId("touch-title", HTMLElement).textContent = t(pictures.length ? "drop.more" : "drop.touch");
  byId("album", HTMLElement).hidden = pictures.length === 0;
  const tools = byId("tools", HTMLElement);
  if (!shown?.cutout && tools.contains(document.activeElement)) byId("result", HTMLElement).focus();
  tools.hidden = !shown?.cutout;
  options.draw();
  sheet.draw();
  save.draw();
  dock.draw();
  report.draw();
  viewer.show(shown);
  brush.draw();
  region.draw();
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
  const { max_body_bytes: bytes, max_image_pixels: pixels } = info.limits;
  const most = { size: bytesText(bytes), pixels: pixelsText(pixels) };
  byId("formats", HTMLElement).textContent = t("drop.formats", most);
}
