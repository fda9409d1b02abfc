/** Small drawings for the strip, one at a time: a decoded photo takes 4 bytes a pixel. */

const SIDE_PX = 96;

/** @type {Promise<unknown>} */
let last = Promise.resolve();

/**
 * A square canvas with `blob`'s picture, null when this browser cannot decode it.
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
  const bitmap = await createImageBitmap(blob, { resizeWidth: 2 * SIDE_PX, resizeQuality: "medium" });
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE_PX;
  const scale = SIDE_PX / Math.min(bitmap.width, bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  const [x, y] = [(SIDE_PX - width) / 2, (SIDE_PX - height) / 2];
  canvas.getContext("2d")?.drawImage(bitmap, x, y, width, height);
  bitmap.close();
  return canvas;
}
