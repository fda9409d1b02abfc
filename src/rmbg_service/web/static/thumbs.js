/** Small images for the contact sheet, made one at a time: a decoded photo takes 4 bytes a pixel. */

import { isDrawable } from "./dom.js";

const SIDE_PX = 288;
const TYPE = "image/webp";

/** @type {(() => Promise<void>)[]} */
const queue = [];
let busy = false;

/**
 * A small image of a whole picture, null when this browser cannot decode it or `source` gives none.
 * @param {() => Blob | null} source asked when it is its turn
 * @param {boolean} [first] before those that wait
 * @returns {Promise<Blob | null>}
 */
export function drawThumb(source, first = false) {
  return new Promise((resolve) => {
    const task = () => draw(source()).catch(() => null).then(resolve);
    if (first) queue.unshift(task);
    else queue.push(task);
    work();
  });
}

async function work() {
  if (busy) return;
  busy = true;
  for (let task = queue.shift(); task; task = queue.shift()) await task();
  busy = false;
}

/** @param {Blob | null} blob @returns {Promise<Blob | null>} */
async function draw(blob) {
  if (!blob || !(await isSmall(blob))) return null;
  const bitmap = await createImageBitmap(blob);
  const canvas = document.createElement("canvas");
  const scale = Math.min(SIDE_PX / Math.max(bitmap.width, bitmap.height), 1);
  canvas.width = Math.max(Math.round(bitmap.width * scale), 1);
  canvas.height = Math.max(Math.round(bitmap.height * scale), 1);
  const context = canvas.getContext("2d");
  if (context) context.imageSmoothingQuality = "high";
  context?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve) => canvas.toBlob(resolve, TYPE)); // a canvas would keep its pixels
}

/** @param {Blob} blob */
async function isSmall(blob) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  const small = await isDrawable(image);
  URL.revokeObjectURL(image.src);
  return small;
}
