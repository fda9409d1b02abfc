/** The file of a result: its format, its background, its name. */

import { fetchLayers } from "./api.js";
import { t } from "./i18n.js";
import { paintCutout, paintMatte } from "./paint.js";

/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {"png" | "webp" | "jpeg" | "matte" | "layers"} Format */
/** What is exported. @typedef {{format: Format, quality: number, backdrop: import("./backdrop.js").Chosen}} Export */

const ENDINGS = { png: "png", webp: "webp", jpeg: "jpg", matte: "png", layers: "zip" };
const NAMES = { png: "PNG", webp: "WebP", jpeg: "JPEG" };
const STEMS = { png: "cutout", webp: "cutout", jpeg: "cutout", matte: "matte", layers: "layers" };
/** JPEG has no transparency. */
const PAPER = { colour: "#ffffff" };
/** What file systems refuse in a name. */
const UNSAFE = /[\\/:*?"<>|\x00-\x1f]/g;

/** @param {string} text @returns {Format} */
export function formatOf(text) {
  return text in ENDINGS ? /** @type {Format} */ (text) : "png";
}

/** @param {Format} format */
export function formatName(format) {
  return format === "matte" || format === "layers" ? t(`format.${format}-name`) : NAMES[format];
}

/**
 * Rejects with a `Problem` or the browser's own error.
 * @param {Picture} picture with a result
 * @param {Export} wanted
 * @param {string} key the API key
 * @returns {Promise<Blob>}
 */
export async function makeFile({ file, cutout, madeWith, mend }, { format, quality, backdrop }, key) {
  if (!cutout) throw new Error("no result");
  if (format === "layers") {
    const options = Object.fromEntries(new URLSearchParams(madeWith));
    return fetchLayers(file, options, (await mend?.guidance(options)) ?? null, key);
  }
  if (format === "matte") return paintMatte(cutout.blob);
  if (format === "png" && !backdrop) return cutout.blob;
  return paintCutout(cutout.blob, `image/${format}`, quality, format === "jpeg" ? (backdrop ?? PAPER) : backdrop);
}

/**
 * `photo.jpg` becomes `photo-cutout.png`.
 * @param {Picture} picture
 * @param {Format} format
 * @param {string} [more] after its stem
 */
export function fileName(picture, format, more = "") {
  return `${stemOf(picture)}-${STEMS[format]}${more}.${ENDINGS[format]}`;
}

/**
 * The same in an archive, in the folder that the picture came in, without its ending for layers; of
 * equal names the second one is `photo-cutout-2.png`.
 * @param {Picture} picture
 * @param {Format} format
 * @param {Set<string>} taken names of the same archive, and now this one
 */
export function archiveName(picture, format, taken) {
  const parts = picture.folder.normalize("NFC").split("/");
  const folder = parts.map((part) => part.replace(UNSAFE, "_")).join("/");
  const named = (/** @type {string} */ more) => {
    const name = folder + fileName(picture, format, more);
    return format === "layers" ? name.slice(0, -".zip".length) : name;
  };
  let name = named("");
  for (let count = 2; taken.has(name.toLowerCase()); count++) name = named(`-${count}`);
  taken.add(name.toLowerCase());
  return name;
}

/** @param {Picture} picture */
function stemOf({ name }) {
  return name.normalize("NFC").replace(UNSAFE, "_").replace(/\.[^.]*$/, "") || "picture";
}
