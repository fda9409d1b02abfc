/** A result as the service gives it: its file, and what the headers say of it. */

import { Problem } from "./problems.js";

/** @typedef {{left: number, top: number, width: number, height: number}} Box in px */
/**
 * @typedef {object} Cutout
 * @property {Blob} blob the service's own PNG, or the file that a preset asks for
 * @property {number} width
 * @property {number} height
 * @property {{x: number, y: number}} origin where its upper left corner lies in the upright
 *   original, in px
 * @property {string} noShadow why the picture's own shadow could not be kept; "" otherwise
 * @property {string} preset that it was made for; "" for none: then it is transparent
 * @property {boolean} limited whether the picture has too few pixels to fill the preset's frame
 * @property {Box | null} box the subject's, in the upright original; null when nothing was found
 */

/**
 * The service's answer. Rejects with a `Problem` when it is none of the service's.
 * @param {Blob} blob
 * @param {Record<string, string>} options that it was asked for with
 * @param {(name: string) => string | null} header of the answer
 * @returns {Promise<Cutout>}
 */
export async function readCutout(blob, options, header) {
  const { preset = "" } = options;
  if (preset ? !blob.type.startsWith("image/") : blob.type !== "image/png") throw new Problem("other", blob.type);
  const size = await sizeOf(blob);
  const limited = /limited/.test(header("X-RMBG-Placement") ?? "");
  const box = readBox(header("X-RMBG-Box"));
  const shadowBox = readBox(header("X-RMBG-Shadow-Box"));
  const shadow = header("X-RMBG-Shadow") ?? "";
  const [, noShadow = ""] = /^none; reason=(.+)/.exec(shadow) ?? [];
  // A crop is the box of the subject and its shadow, with the same margin on opposite sides.
  const cropped = box && options.crop === "true" ? union(box, shadowBox ?? box) : null;
  const origin = cropped
    ? {
        x: cropped.left - (size.width - cropped.width) / 2,
        y: cropped.top - (size.height - cropped.height) / 2,
      }
    : { x: 0, y: 0 };
  return { blob, ...size, origin, box, noShadow, preset, limited };
}

/**
 * @param {string | null} header `left,top,width,height`
 * @returns {Box | null}
 */
function readBox(header) {
  if (!header) return null;
  const [left = 0, top = 0, width = 0, height = 0] = header.split(",").map(Number);
  return { left, top, width, height };
}

/**
 * @param {Box} one
 * @param {Box} other
 * @returns {Box}
 */
function union(one, other) {
  const [left, top] = [Math.min(one.left, other.left), Math.min(one.top, other.top)];
  const right = Math.max(one.left + one.width, other.left + other.width);
  const bottom = Math.max(one.top + one.height, other.top + other.height);
  return { left, top, width: right - left, height: bottom - top };
}

/**
 * Width and height: from a PNG's header (PNG specification, section 11.2.1), or of the decoded image.
 * @param {Blob} blob
 */
async function sizeOf(blob) {
  if (blob.type === "image/png") {
    const header = new DataView(await blob.slice(16, 24).arrayBuffer());
    return { width: header.getUint32(0), height: header.getUint32(4) };
  }
  const bitmap = await createImageBitmap(blob);
  const { width, height } = bitmap;
  bitmap.close();
  return { width, height };
}
