/** Results leave the page: as one file, as a ZIP of many, through the clipboard, a share or a drag. */

import { byId, onClick, setIdle, within } from "./dom.js";
import { offer, pack } from "./download.js";
import { fileName, formatName, formatOf, isServiceMade, makeFile, makePng } from "./files.js";
import { languageChanges, plural, say, t } from "./i18n.js";
import { presetTitle } from "./options.js";
import { Problem } from "./problems.js";
import { fillFields, keepValues, keptValues, valuesOf } from "./storage.js";

/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {import("./files.js").Export} Export */

const KEPT = "rmbg.file";
const COPIED_MS = 2000;

/** Tells with `change` that files would now be others: of another format, name or background. */
export class Save extends EventTarget {
  #form = byId("file-form", HTMLFormElement);
  #menu = byId("file", HTMLDetailsElement);
  #copy = byId("copy", HTMLButtonElement);
  #share = byId("share", HTMLButtonElement);
  #button = byId("download", HTMLButtonElement);
  /** What is being saved: which of how many pictures. @type {{count: number, total: number, name: string, end: AbortController} | null} */
  #saving = null;
  /** @type {Picture | null} */
  #shown = null;

  /**
   * @param {import("./album.js").Album} album
   * @param {import("./backdrop.js").Backdrop} backdrop
   * @param {() => string} key
   * @param {(text: string) => void} announce to those who listen to the page
   */
  constructor(album, backdrop, key, announce) {
    super();
    this.album = album;
    this.backdrop = backdrop;
    this.key = key;
    this.announce = announce;
    fillFields(this.#form, keptValues(KEPT));
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.addEventListener("input", () => {
      keepValues(KEPT, valuesOf(this.#form));
      this.#changed();
    });
    languageChanges.addEventListener("change", () => this.draw());
    backdrop.addEventListener("change", () => {
      this.#problem(() => "");
      this.#changed();
    });
    this.#closeMenuWhenLeft();
    onClick(this.#button, () => this.#download(album.shown?.cutout ? [album.shown] : []));
    onClick(this.#copy, () => this.#try(() => this.#toClipboard()));
    onClick(this.#share, () => this.#try(() => this.#shareShown()));
    this.#share.hidden = !canShare();
    this.draw();
  }

  get busy() {
    return this.#saving !== null;
  }

  /**
   * What is being saved, as a text, and how far along that is, from 0 to 1; null for what takes no time.
   * @returns {{text: string, share: number | null} | null}
   */
  get progress() {
    if (!this.#saving) return null;
    const { count, total } = this.#saving;
    if (total > 1) return { text: t("zip.busy", { count, total }), share: (count - 1) / total };
    return this.quick ? null : { text: t("stage.encode"), share: null };
  }

  /** Save nothing more. */
  cancel() {
    this.#saving?.end.abort();
    this.album.changed();
  }

  /** Whether the file of the picture on show is made here, if not made yet. */
  get quick() {
    return Boolean(this.album.shown?.cutout?.preset) || !isServiceMade(this.#export.format);
  }

  /** Whether the large button has nothing to save: those selected have no results. */
  get empty() {
    return this.#toSave.length === 0;
  }

  /** What the large button would save. */
  get goText() {
    const { selected, results, pictures } = this.album;
    const count = this.#toSave.length;
    if (selected.size) return plural("download.selected", count);
    if (pictures.length === 1) return t("download");
    return plural(results.length === pictures.length ? "download.all" : "download.some", count);
  }

  /** What the files are, if they are of one kind: `PNG, transparent`. */
  get kindText() {
    const kinds = new Set(this.#toSave.map((picture) => this.#kindOf(picture)));
    return kinds.size === 1 ? ([...kinds][0] ?? "") : "";
  }

  /** @param {Picture | null} picture */
  #kindOf(picture) {
    const { preset = "" } = picture?.cutout ?? {};
    if (preset) return presetTitle(preset, preset);
    const { format } = this.#export;
    if (format === "matte" || format === "layers") return formatName(format);
    const white = format === "jpeg" && this.backdrop.kind === "transparent";
    return t("file.kind", { format: formatName(format), backdrop: t(`kind.${white ? "white" : this.backdrop.kind}`) });
  }

  /** Save the results that are selected, or all: several as a ZIP. */
  download() {
    this.#download(this.#toSave);
  }

  /** Say what each button would give. */
  draw() {
    if (this.#shown !== this.album.shown) say(byId("save-problem", HTMLElement), () => "");
    this.#shown = this.album.shown;
    const late = Boolean(this.album.shown?.lacksStrokes);
    setIdle(this.#button, this.busy || late);
    for (const button of [this.#copy, this.#share]) setIdle(button, late);
    const { format } = this.#export;
    const quality = within(this.#form, "input[name=quality]", HTMLInputElement);
    within(this.#form, "output", HTMLOutputElement).value = quality.value;
    const made = Boolean(this.album.shown?.cutout?.preset); // its format and background are the preset's
    for (const field of this.#form.querySelectorAll("[data-when]")) {
      if (!(field instanceof HTMLElement)) continue;
      field.hidden = made || !(field.dataset.when ?? "").split(" ").includes(format);
    }
    within(this.#form, ".choices", HTMLElement).hidden = within(document, ".backdrops", HTMLElement).hidden = made;
    const kind = this.#kindOf(this.album.shown);
    byId("format-kind", HTMLElement).textContent = kind;
    within(this.#menu, "summary", HTMLElement).ariaLabel = `${t(made ? "name" : "format")}: ${kind}`;
  }

  /**
   * The file of the picture on show, as Download gives it.
   * @returns {Promise<File | null>}
   */
  async fileOfShown() {
    const picture = this.album.shown;
    if (!picture?.cutout) return null;
    const wanted = this.#export;
    const blob = await makeFile(picture, wanted, this.key());
    return new File([blob], fileName(picture, wanted), { type: blob.type });
  }

  #changed() {
    this.album.changed();
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Ends when the result has the strokes that are being applied. Rejects with an `AbortError` when
   * they cannot be, which is told where they were painted.
   * @param {Picture} picture
   * @param {AbortSignal} signal
   */
  async #strokesApplied(picture, signal) {
    const waits = picture.lacksStrokes;
    while (picture.lacksStrokes && !signal.aborted) {
      await new Promise((again) => this.album.addEventListener("change", again, { once: true }));
    }
    signal.throwIfAborted();
    if (waits && picture.applied !== picture.strokes) throw new DOMException("not applied", "AbortError");
  }

  get #toSave() {
    return this.album.scope.filter(({ cutout }) => cutout);
  }

  /** @returns {Export} */
  get #export() {
    const { value } = within(this.#form, "[name=format]:checked", HTMLInputElement);
    const quality = within(this.#form, "input[name=quality]", HTMLInputElement).valueAsNumber / 100;
    const pattern = within(this.#form, "input[name=name]", HTMLInputElement).value;
    return { format: formatOf(value), quality, backdrop: this.backdrop.chosen, pattern };
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
   * @param {() => Promise<void>} act
   * @param {() => string} [of] the picture's name, if there are several
   */
  async #try(act, of = () => "") {
    this.#problem(() => "");
    try {
      await act();
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return; // called off
      const reason = error instanceof Error ? error.message : String(error);
      const text = () => (error instanceof Problem ? error.text : t("save.failed", { reason }));
      const title = of();
      this.#problem(() => (title ? t("problem.text", { title, detail: text() }) : text()));
    }
  }

  /** Say what went wrong by the button and in the result's panel. @param {() => string} text */
  #problem(text) {
    for (const place of ["save-problem", "dock-problem"]) say(byId(place, HTMLElement), text);
  }

  async #toClipboard() {
    const picture = this.album.shown;
    const cutout = picture?.cutout;
    if (!picture || !cutout) return;
    if (!navigator.clipboard) return say(byId("save-problem", HTMLElement), () => t("copy.insecure"));
    const png = makePng(picture, this.#export, this.key());
    await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
    if (picture.cutout === cutout) picture.saved = true;
    this.#showCopied(true);
    this.announce(t("say.copied"));
    setTimeout(() => this.#showCopied(false), COPIED_MS);
  }

  /** By its icon, too: there may be no room for the text. @param {boolean} copied */
  #showCopied(copied) {
    byId("copy-text", HTMLElement).textContent = t(copied ? "copied" : "copy");
    within(this.#copy, "use", SVGUseElement).setAttribute("href", copied ? "#i-done" : "#i-copy");
  }

  async #shareShown() {
    const picture = this.album.shown;
    const [cutout, file] = [picture?.cutout, await this.fileOfShown()];
    if (!picture || !file) return;
    await navigator.share({ files: [file] });
    if (picture.cutout === cutout) picture.saved = true;
  }

  /**
   * One at a time: the buttons are idle meanwhile.
   * @param {Picture[]} pictures
   */
  async #download(pictures) {
    if (pictures.length === 0 || this.busy) return;
    const [wanted, end] = [this.#export, new AbortController()];
    /** What was saved of each picture, which may have another result by then. @type {Map<Picture, unknown>} */
    const results = new Map();
    /** @param {Picture} picture */
    const make = async (picture) => {
      this.#saving = { count: results.size + 1, total: pictures.length, name: picture.name, end };
      this.album.changed();
      await this.#strokesApplied(picture, end.signal);
      results.set(picture, picture.cutout);
      return makeFile(picture, wanted, this.key(), end.signal);
    };
    const act = async () => {
      const [only] = pictures;
      if (only && pictures.length === 1) offer(await make(only), fileName(only, wanted));
      else await pack(pictures, wanted, make, end.signal);
      for (const [picture, cutout] of results) if (picture.cutout === cutout) picture.saved = true;
    };
    await this.#try(act, () => (pictures.length > 1 ? (this.#saving?.name ?? "") : ""));
    this.#saving = null;
    this.album.changed();
  }
}

/** Whether files can be shared here, and people expect it: on a phone or tablet. */
function canShare() {
  const some = new File([""], "picture.png", { type: "image/png" });
  return matchMedia("(pointer: coarse)").matches && Boolean(navigator.canShare?.({ files: [some] }));
}
