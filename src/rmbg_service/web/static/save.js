/** Results leave the page: as one file, through the clipboard, as a ZIP of all. */

import { fetchLayers } from "./api.js";
import { byId, onClick, setIdle, within } from "./dom.js";
import { languageChanges, t } from "./i18n.js";
import { paintCutout, paintMatte } from "./paint.js";
import { Problem } from "./problems.js";
import { keepFields, restoreFields } from "./storage.js";
import { zip } from "./zip.js";

/** @typedef {import("./album.js").Picture} Picture */
/** @typedef {"png" | "webp" | "jpeg" | "matte" | "layers"} Format */

const ENDINGS = { png: "png", webp: "webp", jpeg: "jpg", matte: "png", layers: "zip" };
const NAMES = { png: "PNG", webp: "WebP", jpeg: "JPEG" };
const STEMS = { png: "cutout", webp: "cutout", jpeg: "cutout", matte: "matte", layers: "layers" };
const KEPT = "rmbg.file";
const FREE_AFTER_MS = 60_000;
const COPIED_MS = 2000;
/** What file systems refuse in a name. */
const UNSAFE = /[\\/:*?"<>|\x00-\x1f]/g;
/** Larger archives come in several: browsers hold a download as a whole. */
const ARCHIVE_BYTES = 2e9;

export class Save {
  #form = byId("file-form", HTMLFormElement);
  #menu = byId("file", HTMLDetailsElement);
  #copy = byId("copy", HTMLButtonElement);
  #zip = byId("zip", HTMLButtonElement);
  #button = byId("download", HTMLButtonElement);

  /**
   * @param {import("./album.js").Album} album
   * @param {import("./backdrop.js").Backdrop} backdrop
   * @param {() => string} key
   * @param {(text: string) => void} say to those who listen to the page
   */
  constructor(album, backdrop, key, say) {
    this.album = album;
    this.backdrop = backdrop;
    this.key = key;
    this.say = say;
    restoreFields(this.#form, KEPT);
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.addEventListener("input", () => {
      this.draw();
      keepFields(this.#form, KEPT);
    });
    for (const source of [languageChanges, backdrop]) {
      source.addEventListener("change", () => this.draw());
    }
    this.#closeMenuWhenLeft();
    const [one, all] = [byId("save-problem", HTMLElement), byId("zip-problem", HTMLElement)];
    onClick(this.#button, () => this.#try(one, () => this.#download()));
    onClick(this.#copy, () => this.#try(one, () => this.#toClipboard()));
    onClick(this.#zip, () => this.#try(all, () => this.#downloadAll()));
    this.draw();
  }

  /** Say what each button would give. */
  draw() {
    if (this.#shown !== this.album.shown) byId("save-problem", HTMLElement).textContent = "";
    this.#shown = this.album.shown;
    const format = this.#format;
    const quality = within(this.#form, "input[name=quality]", HTMLInputElement);
    within(this.#form, "output", HTMLOutputElement).value = quality.value;
    for (const field of this.#form.querySelectorAll("[data-when]")) {
      if (!(field instanceof HTMLElement)) continue;
      field.hidden = !(field.dataset.when ?? "").split(" ").includes(format);
    }
    const choosable = this.backdrop.chosen && (format === "png" || format === "webp");
    const kind = choosable ? t(this.#flat ? "file.flat" : "file.transparent") : "";
    byId("format-name", HTMLElement).textContent = nameOf(format);
    byId("format-kind", HTMLElement).textContent = kind;
    within(this.#menu, "summary", HTMLElement).ariaLabel = `${t("format")}: ${nameOf(format)} ${kind}`;
    const results = this.album.pictures.filter(({ cutout }) => cutout).length;
    const all = results === this.album.pictures.length;
    this.#zip.title = t("zip.kind", { name: nameOf(this.#archiveFormat) });
    if (!this.#packing) this.#zipText = all ? t("zip") : t("zip.some", { count: results });
  }

  #packing = false;
  /** @type {Picture | null} */
  #shown = null;

  /** @param {string} text */
  set #zipText(text) {
    within(this.#zip, "span", HTMLElement).textContent = text;
  }

  /** @returns {Format} */
  get #format() {
    const { value } = within(this.#form, "[name=format]:checked", HTMLInputElement);
    return value in ENDINGS ? /** @type {Format} */ (value) : "png";
  }

  /** Layers are made by the service one by one, so an archive of all has PNGs in their place. */
  get #archiveFormat() {
    return this.#format === "layers" ? "png" : this.#format;
  }

  /** Whether the chosen background goes into the file. */
  get #flat() {
    return within(this.#form, "input[name=backdrop]", HTMLInputElement).checked;
  }

  #closeMenuWhenLeft() {
    document.addEventListener("pointerdown", ({ target }) => {
      if (target instanceof Node && !this.#menu.contains(target)) this.#menu.open = false;
    });
    this.#menu.addEventListener("focusout", ({ relatedTarget }) => {
      if (relatedTarget instanceof Node && !this.#menu.contains(relatedTarget)) this.#menu.open = false;
    });
    this.#menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.#menu.open) return;
      event.preventDefault(); // it ends nothing else
      this.#menu.open = false;
      within(this.#menu, "summary", HTMLElement).focus();
    });
  }

  /**
   * Tell when it cannot be done.
   * @param {HTMLElement} place
   * @param {() => Promise<void>} act
   */
  async #try(place, act) {
    place.textContent = "";
    try {
      await act();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      place.textContent =
        error instanceof Problem ? `${error.title}. ${error.detail}` : `${t("save.failed")} (${reason})`;
    }
  }

  /**
   * The file that the form asks for.
   * @param {Picture} picture
   * @param {Format} format
   * @returns {Promise<Blob>}
   */
  async #make({ file, cutout, madeWith }, format) {
    if (!cutout) throw new Error("no result");
    if (format === "layers") return fetchLayers(file, madeWith, this.key());
    if (format === "matte") return paintMatte(cutout.blob);
    const backdrop = this.#flat || format === "jpeg" ? this.backdrop.chosen : null;
    if (format === "png" && !backdrop) return cutout.blob;
    const quality = within(this.#form, "input[name=quality]", HTMLInputElement).valueAsNumber / 100;
    const under = format === "jpeg" ? (backdrop ?? { colour: "#ffffff" }) : backdrop;
    return paintCutout(cutout.blob, `image/${format}`, quality, under);
  }

  async #download() {
    const picture = this.album.shown;
    if (!picture?.cutout) return;
    const [format, { cutout }] = [this.#format, picture];
    setIdle(this.#button, true);
    this.#button.classList.toggle("waiting", format === "layers");
    try {
      offer(await this.#make(picture, format), fileName(picture, format));
      if (picture.cutout === cutout) this.album.update(picture, { saved: true });
    } finally {
      setIdle(this.#button, false);
      this.#button.classList.remove("waiting");
    }
  }

  async #toClipboard() {
    const picture = this.album.shown;
    if (!picture?.cutout) return;
    if (!navigator.clipboard) {
      byId("save-problem", HTMLElement).textContent = t("copy.insecure");
      return;
    }
    await navigator.clipboard.write([new ClipboardItem({ "image/png": picture.cutout.blob })]);
    this.album.update(picture, { saved: true });
    const text = byId("copy-text", HTMLElement);
    text.textContent = t("copied");
    this.say(t("say.copied"));
    setTimeout(() => (text.textContent = t("copy")), COPIED_MS);
  }

  async #downloadAll() {
    const format = this.#archiveFormat;
    const pictures = this.album.pictures.filter(({ cutout }) => cutout);
    setIdle(this.#zip, true);
    this.#packing = true;
    try {
      /** @type {{name: string, blob: Blob}[]} */
      let files = [];
      let [bytes, archives] = [0, 0];
      const taken = new Set();
      for (const [place, picture] of pictures.entries()) {
        this.#zipText = t("zip.busy", { count: place + 1, total: pictures.length });
        const blob = await this.#make(picture, format);
        if (bytes + blob.size > ARCHIVE_BYTES && files.length > 0) {
          offer(await zip(files), `cutouts-${++archives}.zip`);
          [files, bytes] = [[], 0];
        }
        files.push({ name: archiveName(picture, format, taken), blob });
        bytes += blob.size;
      }
      offer(await zip(files), archives ? `cutouts-${archives + 1}.zip` : "cutouts.zip");
      for (const picture of pictures) picture.saved = true;
    } finally {
      this.#packing = false;
      setIdle(this.#zip, false);
      this.draw();
    }
  }
}

/** @param {Format} format */
function nameOf(format) {
  return format === "matte" || format === "layers" ? t(`format.${format}-name`) : NAMES[format];
}

/**
 * `photo.jpg` becomes `photo-cutout.png`.
 * @param {Picture} picture
 * @param {Format} format
 * @param {string} [more] after its stem
 */
function fileName(picture, format, more = "") {
  const stem = picture.name.normalize("NFC").replace(UNSAFE, "_").replace(/\.[^.]*$/, "") || "picture";
  return `${stem}-${STEMS[format]}${more}.${ENDINGS[format]}`;
}

/**
 * The same in an archive, in the folder that the picture came in; of equal names the second one is
 * `photo-cutout-2.png`.
 * @param {Picture} picture
 * @param {Format} format
 * @param {Set<string>} taken names of the same archive, and now this one
 */
function archiveName(picture, format, taken) {
  const parts = picture.folder.normalize("NFC").split("/");
  const folder = parts.map((part) => part.replace(UNSAFE, "_")).join("/");
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
