/** Both previews: where they are, their zoom, comparison, background and matte. */

import { Backdrop } from "./backdrop.js";
import { Camera } from "./camera.js";
import { Compare } from "./compare.js";
import { byId } from "./dom.js";
import { startGestures } from "./gestures.js";
import { languageChanges, t } from "./i18n.js";
import { Stage } from "./stage.js";

const STEP = 1.5;
/** Pictures of at most this width for their height are shown side by side where there is room. */
const BESIDE_RATIO = 1.05;
const BESIDE_PX = 700;
/** Where the previews together have this width for their height, all pictures are. */
const WIDE_RATIO = 2;

export class Viewer {
  camera = new Camera();
  #views = byId("previews", HTMLElement);
  original = new Stage(byId("original", HTMLElement), this.camera);
  result = new Stage(byId("result", HTMLElement), this.camera);
  #compare = new Compare(this.original, this.result);
  /** The size of the last picture as text: of the next one of that size the same part is seen. */
  #size = "";
  /** A result that is being touched up. @type {{picture: import("./picture.js").Picture, cutout: import("./cutout.js").Cutout} | null} */
  #edited = null;
  /** The picture to be shown. @type {import("./picture.js").Picture | null} */
  #picture = null;
  /** What is shown. @type {{file: File | null, cutout: import("./cutout.js").Cutout | null, failed: boolean}} */
  #shown = { file: null, cutout: null, failed: false };
  /** Ends when that is drawn. @type {Promise<void>} */
  #drawn = Promise.resolve();

  /** @param {() => void} unreadable what to do when a background picture cannot be shown */
  constructor(unreadable) {
    this.backdrop = new Backdrop(this.result, unreadable);
    startGestures(this.original);
    startGestures(this.result);
    const actual = byId("zoom-actual", HTMLButtonElement);
    const inView = () => (this.result.frame ? this.result : this.original);
    /** @param {string} id @param {() => void} act */
    const onPress = (id, act) => byId(id, HTMLButtonElement).addEventListener("click", act);
    onPress("zoom-in", () => inView().zoomTo(inView().zoom * STEP));
    onPress("zoom-out", () => inView().zoomTo(inView().zoom / STEP));
    onPress("zoom-actual", () => inView().zoomTo(1));
    onPress("zoom-fit", () => this.camera.fit());
    const matte = matteButton();
    matte.addEventListener("click", () => {
      const on = this.result.element.classList.toggle("matte");
      matte.setAttribute("aria-pressed", String(on));
    });
    const enlarge = byId("enlarge", HTMLButtonElement);
    /** @param {boolean} on */
    const setLarge = (on) => {
      this.#views.classList.toggle("large", on);
      enlarge.setAttribute("aria-pressed", String(on));
    };
    enlarge.addEventListener("click", () => setLarge(!this.#views.classList.contains("large")));
    document.addEventListener("keydown", ({ key, defaultPrevented }) => {
      if (key === "Escape" && !defaultPrevented && this.result.grip === "picture") setLarge(false);
    });
    const tell = () => (actual.textContent = zoomText(inView().zoom));
    this.camera.addEventListener("change", tell);
    this.#watchRatio();
    new ResizeObserver(tell).observe(this.result.element);
    new ResizeObserver(() => this.#arrange()).observe(this.#views);
    languageChanges.addEventListener("change", () => this.#draw());
    this.#draw();
  }

  /** Whether the original covers a part of the result. */
  get compares() {
    return this.#compare.shown;
  }

  /**
   * Show a picture and its result, if there is one; null for no picture. Ends when they are drawn.
   * @param {import("./picture.js").Picture | null} picture
   */
  show(picture) {
    this.#picture = picture;
    const edited = this.#edited?.picture === picture ? this.#edited.cutout : null;
    const [file, cutout] = [picture?.file ?? null, edited ?? picture?.cutout ?? null];
    const failed = picture?.failed ?? false;
    const before = this.#shown;
    if (file === before.file && cutout === before.cutout && failed === before.failed) return this.#drawn;
    this.#shown = { file, cutout, failed };
    this.#drawn = this.#draw();
    return this.#drawn;
  }

  /** Show this in the place of the picture's own result, with the original faintly below. @param {{picture: import("./picture.js").Picture, cutout: import("./cutout.js").Cutout} | null} edited */
  async edit(edited) {
    this.#edited = edited;
    this.result.element.classList.toggle("edited", edited !== null);
    await this.show(this.#picture);
  }

  /** Browsers do not tell when the window comes to a screen of another pixel ratio. */
  #watchRatio() {
    const moved = () => {
      this.camera.dispatchEvent(new Event("change"));
      this.#watchRatio();
    };
    matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", moved, { once: true });
  }

  async #draw() {
    const { file, cutout, failed } = this.#shown;
    const name = file?.name ?? "";
    const kind = name.includes(".") ? name.slice(name.lastIndexOf(".") + 1).toUpperCase() : "";
    const unseen = failed ? t("original.none") : t("original.unseen", { format: kind });
    const shown = [
      this.original.show(file, t("original.alt", { name }), file ? unseen : t("original.empty")),
      this.result.show(
        cutout?.blob ?? null,
        t("result.alt", { name }),
        t(cutout ? "result.unseen" : "result.empty"),
        cutout?.origin ?? undefined,
      ),
    ];
    await Promise.all(shown);
    if (file !== this.#shown.file) return; // another picture was chosen meanwhile
    const size = sizeText(this.original.frame ?? this.result.frame);
    if (size !== this.#size) this.camera.fits = true;
    this.#size = size;
    this.original.element.classList.toggle("blank", !this.original.frame);
    this.result.element.classList.toggle("blank", !this.result.frame);
    this.#arrange();
    const named = byId("original-name", HTMLElement);
    named.textContent = named.title = name;
    byId("original-facts", HTMLElement).textContent = sizeText(this.original.frame);
    byId("result-facts", HTMLElement).textContent = sizeText(this.result.frame);
    byId("zoom", HTMLElement).hidden = !this.original.frame && !this.result.frame;
    this.result.element.classList.toggle("opaque", Boolean(cutout?.preset));
    matteButton().hidden = Boolean(cutout?.preset);
    this.#compare.refresh(!cutout?.preset);
    this.camera.dispatchEvent(new Event("change"));
  }

  /** Side by side or one above the other, by the picture's shape and the room there is. */
  #arrange() {
    const frame = this.original.frame ?? this.result.frame;
    const { clientWidth: width, clientHeight: height } = this.#views;
    const suits = frame && frame.width <= BESIDE_RATIO * frame.height;
    const beside = width >= BESIDE_PX && (suits || width >= WIDE_RATIO * height);
    this.#views.classList.toggle("beside", Boolean(beside));
  }
}

/** Only actual size is called 100%: at 99.9% the pixels seen are not those of the file. @param {number} zoom */
function zoomText(zoom) {
  const percent = Math.round(zoom * 100);
  return `${percent === 100 ? Math.floor(zoom * 1000) / 10 : percent}%`;
}

/** @param {{width: number, height: number} | null} size */
function sizeText(size) {
  return size ? `${size.width} × ${size.height}` : "";
}

function matteButton() {
  return byId("matte", HTMLButtonElement);
}
