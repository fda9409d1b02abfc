/** Files that the browser saves: one, or many as a ZIP. */

import { archiveName } from "./files.js";
import { unzip, zip } from "./zip.js";

/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {import("./files.js").Export} Export */

const FREE_AFTER_MS = 60_000;
/** Larger archives come in several: browsers hold a download as a whole. */
const ARCHIVE_BYTES = 2e9;

/**
 * Let the browser save `blob`.
 * @param {Blob} blob
 * @param {string} name
 */
export function offer(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), FREE_AFTER_MS);
}

/**
 * Offer the files of `pictures` as a ZIP, or as several.
 * @param {Picture[]} pictures
 * @param {Export} wanted
 * @param {(picture: Picture) => Promise<Blob>} make
 * @param {AbortSignal} signal ends it
 */
export async function pack(pictures, wanted, make, signal) {
  /** @type {{name: string, blob: Blob}[]} */
  let files = [];
  let [bytes, archives] = [0, 0];
  const taken = new Set();
  for (const picture of pictures) {
    const blob = await make(picture);
    if (bytes + blob.size > ARCHIVE_BYTES && files.length > 0) {
      offer(await zip(files, signal), `cutouts-${++archives}.zip`);
      [files, bytes] = [[], 0];
    }
    const name = archiveName(picture, wanted, taken);
    const layers = blob.type === "application/zip" ? await unzip(blob) : null;
    if (layers) files.push(...layers.map((layer) => ({ ...layer, name: `${name}/${layer.name}` })));
    else files.push({ name, blob });
    bytes += blob.size;
  }
  offer(await zip(files, signal), archives ? `cutouts-${archives + 1}.zip` : "cutouts.zip");
}
