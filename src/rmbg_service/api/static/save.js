/** Results leave the page: as one file, through the clipboard, as a ZIP of all. */

import { byId, onClick, setIdle, within } from "./dom.js";
import { languageChanges, t } from "./i18n.js";
import { paintCutout, paintMatte } from "./paint.js";
import { zip } from "./zip.js";

/** @typedef {import("./album.js").Picture} Picture */
/** @typedef {"png" | "webp" | "jpeg" | "matte"} Format */

const ENDINGS = { png: "png", webp: "webp", jpeg: "jpg", matte: "png" };
const FREE_AFTER_MS = 60_000;
const COPIED_MS = 2000;
/** What file systems refuse in a name. */
const UNSAFE = /[\\/:*?"<>|\x00-\x1f]/g;

export class Save {
  #form = byId("file-form", HTMLFormElement);
  #menu = byId("file", HTMLDetailsElement);
  #copy = byId("copy", HTMLButtonElement);
  #zip = byId("zip", HTMLButtonElement);

  /**
   * @param {import("./album.js").Album} album
   * @param {import("./backdrop.js").Backdrop} backdrop
   * @param {(text: string) => void} say to those who listen to the page
   */
  constructor(album, backdrop, say) {
    this.album = album;
    this.backdrop = backdrop;
    this.say = say;
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.addEventListener("input", () => this.#draw());
    languageChanges.addEventListener("change", () => this.#draw());
    document.addEventListener("pointerdown", ({ target }) => {
      if (target instanceof Node && !this.#menu.contains(target)) this.#menu.open = false;
    });
    this.#menu.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape") return;
      this.#menu.open = false;
      within(this.#menu, "summary", HTMLElement).focus();
    });
    onClick(byId("download", HTMLButtonElement), () => this.#try(() => this.#download()));
    onClick(this.#copy, () => this.#try(() => this.#toClipboard()));
    onClick(this.#zip, () => this.#try(() => this.#downloadAll()));
    this.#draw();
  }

  /** @returns {Format} */
  get #format() {
    const { value } = within(this.#form, "[name=format]:checked", HTMLInputElement);
    return value === "webp" || value === "jpeg" || value === "matte" ? value : "png";
  }

  #draw() {
    const format = this.#format;
    const quality = within(this.#form, "input[name=quality]", HTMLInputElement);
    within(this.#form, "output", HTMLOutputElement).value = quality.value;
    const name = format === "matte" ? t("format.matte-name") : format.toUpperCase();
    byId("format-name", HTMLElement).textContent = format === "webp" ? "WebP" : name;
    for (const field of this.#form.querySelectorAll("[data-when]")) {
      if (!(field instanceof HTMLElement)) continue;
      field.hidden = !(field.dataset.when ?? "").split(" ").includes(format);
    }
    setIdle(this.#copy, !navigator.clipboard);
    if (!navigator.clipboard) this.#copy.title = t("copy.insecure");
  }

  /** Tell when the browser cannot do it. @param {() => Promise<void>} act */
  async #try(act) {
    const problem = byId("save-problem", HTMLElement);
    problem.textContent = "";
    try {
      await act();
    } catch (error) {
      problem.textContent = `${t("save.failed")} (${error instanceof Error ? error.message : error})`;
    }
  }

  /**
   * The file that the form asks for.
   * @param {Blob} cutout
   * @returns {Promise<Blob>}
   */
  async #make(cutout) {
    const format = this.#format;
    if (format === "matte") return paintMatte(cutout);
    const wanted = within(this.#form, "input[name=backdrop]", HTMLInputElement).checked;
    const backdrop = wanted || format === "jpeg" ? this.backdrop.chosen : null;
    if (format === "png" && !backdrop) return cutout;
    const quality = within(this.#form, "input[name=quality]", HTMLInputElement).valueAsNumber / 100;
    const under = format === "jpeg" ? (backdrop ?? { colour: "#ffffff" }) : backdrop;
    return paintCutout(cutout, `image/${format}`, quality, under);
  }

  async #download() {
    const picture = this.album.shown;
    if (!picture?.cutout) return;
    offer(await this.#make(picture.cutout.blob), fileName(picture, this.#format));
  }

  async #toClipboard() {
    const cutout = this.album.shown?.cutout;
    if (!cutout) return;
    await navigator.clipboard.write([new ClipboardItem({ "image/png": cutout.blob })]);
    const text = byId("copy-text", HTMLElement);
    text.textContent = t("copied");
    this.say(t("say.copied"));
    setTimeout(() => (text.textContent = t("copy")), COPIED_MS);
  }

  async #downloadAll() {
    const text = within(this.#zip, "span", HTMLElement);
    setIdle(this.#zip, true);
    text.textContent = t("zip.busy");
    try {
      /** @type {{name: string, blob: Blob}[]} */
      const files = [];
      const taken = new Set();
      for (const picture of this.album.pictures) {
        if (!picture.cutout) continue;
        const name = archiveName(picture, this.#format, taken);
        files.push({ name, blob: await this.#make(picture.cutout.blob) });
      }
      offer(await zip(files), "cutouts.zip");
    } finally {
      setIdle(this.#zip, false);
      text.textContent = t("zip");
    }
  }
}

/**
 * `photo.jpg` becomes `photo-cutout.png`.
 * @param {Picture} picture
 * @param {Format} format
 * @param {string} [more] after its stem
 */
function fileName(picture, format, more = "") {
  const stem = picture.name.replace(UNSAFE, "_").replace(/\.[^.]*$/, "");
  return `${stem}-${format === "matte" ? "matte" : "cutout"}${more}.${ENDINGS[format]}`;
}

/**
 * The same in an archive, in the folder that the picture came in; of equal names the second one is
 * `photo-cutout-2.png`.
 * @param {Picture} picture
 * @param {Format} format
 * @param {Set<string>} taken names of the same archive, and now this one
 */
function archiveName(picture, format, taken) {
  const folder = picture.folder.split("/").map((part) => part.replace(UNSAFE, "_")).join("/");
  let name = folder + fileName(picture, format);
  for (let count = 2; taken.has(name.toLowerCase()); count++) {
    name = folder + fileName(picture, format, `-${count}`);
  }
  taken.add(name.toLowerCase());
  return name;
}

/**
 * Let the browser save `blob`.
 * @param {Blob} blob
 * @param {string} name
 */
function offer(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), FREE_AFTER_MS);
}
