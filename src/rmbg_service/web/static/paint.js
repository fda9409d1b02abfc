/**
 * Files that the browser itself makes of the service's PNG.
 *
 * A canvas keeps colours multiplied by alpha: where a pixel is nearly transparent, its colour is
 * rounded. So the PNG for download is the service's own; only lossy WebP, flat pictures and the
 * matte are made here.
 */

/**
 * The cutout as lossy WebP, or as any type on a background.
 * @param {Blob} cutout
 * @param {string} type
 * @param {number} quality from 0 to 1
 * @param {import("./backdrop.js").Chosen} backdrop null for none
 */
export function paintCutout(cutout, type, quality, backdrop) {
  return paint(cutout, type, quality, async (context, bitmap) => {
    await paintBackdrop(context, backdrop);
    context.drawImage(bitmap, 0, 0);
  });
}

/** The alpha of the cutout as a grey PNG. @param {Blob} cutout */
export function paintMatte(cutout) {
  return paint(cutout, "image/png", 1, async (context, bitmap) => {
    const { width, height } = context.canvas;
    context.drawImage(bitmap, 0, 0);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = "black";
    context.fillRect(0, 0, width, height);
  });
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./backdrop.js").Chosen} backdrop
 */
async function paintBackdrop(context, backdrop) {
  if (!backdrop) return;
  const { width, height } = context.canvas;
  if ("colour" in backdrop) {
    context.fillStyle = backdrop.colour;
    context.fillRect(0, 0, width, height);
    return;
  }
  const picture = await createImageBitmap(backdrop.picture);
  const scale = Math.max(width / picture.width, height / picture.height);
  const [wide, high] = [picture.width * scale, picture.height * scale];
  context.drawImage(picture, (width - wide) / 2, (height - high) / 2, wide, high);
  picture.close();
}

/**
 * @param {Blob} cutout
 * @param {string} type
 * @param {number} quality
 * @param {(context: CanvasRenderingContext2D, bitmap: ImageBitmap) => Promise<void>} draw
 * @returns {Promise<Blob>}
 */
async function paint(cutout, type, quality, draw) {
  const bitmap = await createImageBitmap(cutout);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no canvas of that size");
  await draw(context, bitmap);
  bitmap.close();
  return new Promise((resolve, reject) => {
    canvas.toBlob(
      (blob) => {
        canvas.width = canvas.height = 0; // frees its pixels now
        if (blob?.type === type) resolve(blob);
        else reject(new Error(`this browser cannot write ${type}`));
      },
      type,
      quality,
    );
  });
}
