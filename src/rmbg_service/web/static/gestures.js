/** Wheel, drag, pinch and keys on a preview. */

const STEP = 1.25;
const KEY_PAN_PX = 60;

/** @param {import("./stage.js").Stage} stage */
export function startGestures(stage) {
  const { element, camera } = stage;
  element.addEventListener(
    "wheel",
    (event) => {
      if (!stage.frame || (stage.grip === "brush" && !event.ctrlKey)) return;
      event.preventDefault();
      const { x, y } = pointIn(element, event);
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      const reach = event.ctrlKey ? 100 : 400; // a pinch on a trackpad comes as small steps with Ctrl
      stage.zoomTo(stage.zoom * Math.exp((-event.deltaY * lines) / reach), x, y);
    },
    { passive: false },
  );
  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== element) return;
    if (stage.grip !== "picture" && event.key.startsWith("Arrow")) return; // they move something else
    const act = keyAct(stage, event.key);
    if (!act || !stage.frame) return;
    event.preventDefault();
    act();
  });
  element.addEventListener("dblclick", (event) => {
    if (stage.grip !== "picture") return;
    const { x, y } = pointIn(element, event);
    if (camera.fits) stage.zoomTo(1, x, y);
    else camera.fit();
  });
  startPointers(stage);
}

/**
 * @param {import("./stage.js").Stage} stage
 * @param {string} key
 * @returns {(() => void) | undefined}
 */
function keyAct(stage, key) {
  /** @type {Record<string, () => void>} */
  const acts = {
    "+": () => stage.zoomTo(stage.zoom * STEP),
    "=": () => stage.zoomTo(stage.zoom * STEP),
    "-": () => stage.zoomTo(stage.zoom / STEP),
    0: () => stage.camera.fit(),
    1: () => stage.zoomTo(1),
    ArrowLeft: () => stage.pan(KEY_PAN_PX, 0),
    ArrowRight: () => stage.pan(-KEY_PAN_PX, 0),
    ArrowUp: () => stage.pan(0, KEY_PAN_PX),
    ArrowDown: () => stage.pan(0, -KEY_PAN_PX),
  };
  return acts[key];
}

/**
 * One pointer drags, two pinch. A finger on a picture that fits scrolls the page (see viewer.css).
 * @param {import("./stage.js").Stage} stage
 */
function startPointers(stage) {
  const { element, camera } = stage;
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map();
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    down.set(event.pointerId, pointIn(element, event));
    if (!camera.fits || event.pointerType === "touch") element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    const point = pointIn(element, event);
    down.set(event.pointerId, point);
    const [other] = [...down].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    if (other) {
      const ratio = distance(point, other) / Math.max(distance(before, other), 1);
      stage.zoomTo(stage.zoom * ratio, (point.x + other.x) / 2, (point.y + other.y) / 2);
      stage.pan((point.x - before.x) / 2, (point.y - before.y) / 2);
    } else if (!camera.fits && stage.grip === "picture") {
      stage.pan(point.x - before.x, point.y - before.y);
    }
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    element.addEventListener(end, (event) => {
      if (event instanceof PointerEvent) down.delete(event.pointerId);
    });
  }
}

/**
 * Where in `element` a pointer is, in CSS px.
 * @param {HTMLElement} element
 * @param {MouseEvent} event
 */
export function pointIn(element, event) {
  const { left, top } = element.getBoundingClientRect();
  return { x: event.clientX - left - element.clientLeft, y: event.clientY - top - element.clientTop };
}

/**
 * @param {{x: number, y: number}} one
 * @param {{x: number, y: number}} other
 */
function distance(one, other) {
  return Math.hypot(one.x - other.x, one.y - other.y);
}
