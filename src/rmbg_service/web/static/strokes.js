/** Brush strokes on a picture: what they are, and how they are drawn. */

/** Of a point and the brush there, in px of the picture. @typedef {{x: number, y: number, radius: number}} Dab */
/**
 * @typedef {object} Stroke
 * @property {boolean} keep what is under it, or erase it
 * @property {boolean} smart whether it means the thing under it, or the pixels alone
 * @property {Dab[]} dabs
 */

/** Of a picture that nobody has painted on. @type {readonly Stroke[]} */
export const NO_STROKES = Object.freeze([]);
/** Longest side of the image that is sent: the service holds no more. */
const SENT_SIDE_PX = 2048;
/** Share of a brush's radius over which the rim of an exact stroke fades. */
const RIM = 0.2;

/**
 * Draw a stroke's line in the context's colour.
 * @param {CanvasRenderingContext2D} context whose units are px of the picture
 * @param {Stroke} stroke
 */
export function drawStroke(context, { dabs }) {
  context.lineCap = "round";
  context.beginPath();
  for (const { x, y, radius } of dabs) {
    context.moveTo(x + radius, y);
    context.arc(x, y, radius, 0, 2 * Math.PI);
  }
  context.fill();
  for (const [place, dab] of dabs.entries()) {
    const before = dabs[place - 1];
    if (!before) continue;
    context.lineWidth = before.radius + dab.radius;
    context.beginPath();
    context.moveTo(before.x, before.y);
    context.lineTo(dab.x, dab.y);
    context.stroke();
  }
}

/**
 * Strokes as the service takes them: light to keep, dark to erase, on a transparent PNG.
 * @param {readonly Stroke[]} strokes
 * @param {{width: number, height: number}} size of the picture
 * @returns {Promise<Blob>}
 */
export function strokesImage(strokes, { width, height }) {
  const canvas = document.createElement("canvas");
  const scale = Math.min(SENT_SIDE_PX / Math.max(width, height), 1);
  canvas.width = Math.max(Math.round(width * scale), 1);
  canvas.height = Math.max(Math.round(height * scale), 1);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no canvas of that size");
  context.scale(canvas.width / width, canvas.height / height);
  for (const stroke of strokes) {
    const rim = (stroke.dabs[0]?.radius ?? 0) * RIM * scale;
    context.filter = stroke.smart || rim < 0.5 ? "none" : `blur(${rim / 2}px)`;
    context.fillStyle = context.strokeStyle = stroke.keep ? "#ffffff" : "#000000";
    drawStroke(context, stroke);
  }
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => {
      if (blob) resolve(blob);
      else reject(new Error("this browser cannot write image/png"));
    }, "image/png");
  });
}
