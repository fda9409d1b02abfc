/** The file of a result: its format, its background, its name. */

import { fetchLayers, fetchPsd } from "./api.js";
import { t } from "./i18n.js";
import { paintCutout, paintMatte } from "./paint.js";

/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {"png" | "webp" | "jpeg" | "psd" | "matte" | "layers"} Format */
/** What is exported, and the pattern of its name. @typedef {{format: Format, quality: number, backdrop: import("./backdrop.js").Chosen, pattern: string}} Export */

const ENDINGS = { png: "png", webp: "webp", jpeg: "jpg", psd: "psd", matte: "png", layers: "zip" };
const NAMES = { png: "PNG", webp: "WebP", jpeg: "JPEG", psd: "PSD" };
const KINDS = { png: "cutout", webp: "cutout", jpeg: "cutout", psd: "cutout", matte: "matte", layers: "layers" };
const PATTERN = "{stem}-{kind}";
/** JPEG has no transparency. */
const PAPER = { colour: "#ffffff" };
/** What file systems refuse in a name. */
const UNSAFE = /[\\/:*?"<>|\x00-\x1f]/g;
/** Of a picture's name as much as leaves room for the rest: file systems take 255 bytes. */
const STEM_BYTES = 200;

/** @param {string} text @returns {Format} */
export function formatOf(text) {
  return text in ENDINGS ? /** @type {Format} */ (text) : "png";
}

/** @param {Format} format */
export function formatName(format) {
  return format === "matte" || format === "layers" ? t(`format.${format}-name`) : NAMES[format];
}

/** Whether the service makes such a file, from the picture again. @param {Format} format @returns {format is "psd" | "layers"} */
export function isServiceMade(format) {
  return format === "psd" || format === "layers";
}

/**
 * The file of a result; a preset's is as the service made it. Rejects with a `Problem`, the
 * browser's own error or the reason of `signal`.
 * @param {Picture} picture with a result
 * @param {Export} wanted
 * @param {string} key the API key
 * @param {AbortSignal} [signal] ends what the service is asked for
 * @returns {Promise<Blob>}
 */
export async function makeFile({ file, cutout, madeWith, mend }, { format, quality, backdrop }, key, signal) {
  if (!cutout) throw new Error("no result");
  if (cutout.preset) return cutout.blob;
  if (isServiceMade(format)) {
    const options = Object.fromEntries(new URLSearchParams(madeWith));
    const guidance = (await mend?.guidance(options)) ?? null;
    return format === "psd"
      ? fetchPsd(file, options, guidance, backdrop, key, signal)
      : fetchLayers(file, options, guidance, key, signal);
  }
  if (format === "matte") return paintMatte(cutout.blob);
  if (format === "png" && !backdrop) return cutout.blob;
  return paintCutout(cutout.blob, `image/${format}`, quality, format === "jpeg" ? (backdrop ?? PAPER) : backdrop);
}

/**
 * A result as a PNG, for the clipboard.
 * @param {Picture} picture
 * @param {Export} wanted
 * @param {string} key
 */
export async function makePng(picture, wanted, key) {
  const { cutout } = picture;
  if (cutout?.preset) return paintCutout(cutout.blob, "image/png", 1, null);
  return makeFile(picture, { ...wanted, format: "png" }, key);
}

/**
 * `photo.jpg` becomes `photo-cutout.png`, or what the pattern makes of it.
 * @param {Picture} picture
 * @param {Export} wanted
 * @param {string} [more] after its stem
 */
export function fileName(picture, { format, pattern }, more = "") {
  const { cutout } = picture;
  const stem = clipped(picture.name.normalize("NFC").replace(/\.[^.]*$/, "")) || "picture";
  const kind = cutout?.preset || KINDS[format];
  const type = cutout?.preset ? cutout.blob.type.slice("image/".length).replace("jpeg", "jpg") : ENDINGS[format];
  const name = (pattern.trim() || PATTERN).replace(/\{(stem|kind)\}/g, (_, part) => (part === "stem" ? stem : kind));
  return `${safe(name).replace(/^[. ]+/, "_")}${more}.${type}`;
}

/**
 * The same in an archive, in the folder that the picture came in, without its ending for layers; of
 * equal names the second one is `photo-cutout-2.png`.
 * @param {Picture} picture
 * @param {Export} wanted
 * @param {Set<string>} taken names of the same archive, and now this one
 */
export function archiveName(picture, wanted, taken) {
  const folder = picture.folder.normalize("NFC").split("/").map(safe).join("/");
  const named = (/** @type {string} */ more) => (folder + fileName(picture, wanted, more)).replace(/\.zip$/, "");
  let name = named("");
  for (let count = 2; taken.has(name.toLowerCase()); count++) name = named(`-${count}`);
  taken.add(name.toLowerCase());
  return name;
}

/** @param {string} stem */
function clipped(stem) {
  const letters = [...stem];
  while (new TextEncoder().encode(letters.join("")).length > STEM_BYTES) letters.pop();
  return letters.join("");
}

/** @param {string} name of a file or folder */
function safe(name) {
  return name.replace(UNSAFE, "_");
}
