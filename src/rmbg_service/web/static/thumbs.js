/** Small drawings for the contact sheet, one at a time: a decoded photo takes 4 bytes a pixel. */

const SIDE_PX = 288;

/** @type {Promise<unknown>} */
let last = Promise.resolve();

/**
 * A small canvas with `blob`'s whole picture, null when this browser cannot decode it.
 * @param {Blob} blob
 * @returns {Promise<HTMLCanvasElement | null>}
 */
export function drawThumb(blob) {
  const drawn = last.then(() => draw(blob)).catch(() => null);
  last = drawn;
  return drawn;
}

/** @param {Blob} blob */
async function draw(blob) {
  const bitmap = await createImageBitmap(blob);
  const canvas = document.createElement("canvas");
  const scale = Math.min(SIDE_PX / Math.max(bitmap.width, bitmap.height), 1);
  canvas.width = Math.max(Math.round(bitmap.width * scale), 1);
  canvas.height = Math.max(Math.round(bitmap.height * scale), 1);
  const context = canvas.getContext("2d");
  if (context) context.imageSmoothingQuality = "high";
  context?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas;
}
