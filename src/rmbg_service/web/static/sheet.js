/** The contact sheet: every picture as a tile with its state; tiles are looked at, selected, removed. */

import { byId, icon, make, onClick, within } from "./dom.js";
import { locale, plural, t } from "./i18n.js";
import { stateText } from "./states.js";

/** @typedef {import("./picture.js").Picture} Picture */
/** A tile's parts that change, and what it was last drawn from. @typedef {{tile: HTMLLIElement, pick: HTMLButtonElement, thumb: HTMLElement, state: HTMLElement, mark: HTMLElement, check: HTMLInputElement, retry: HTMLButtonElement, remove: HTMLButtonElement, drawn: string, drawnThumb: Blob | null}} Tile */

const MARKS = { done: "done", failed: "warn", refused: "warn" };
/** From this many pictures on the sheet opens large by itself. */
const MANY = 9;
/** From this many on only the tiles in view are laid out. */
const HUNDREDS = 100;

/** Tells with `remove` which pictures somebody wants to be rid of. */
export class Sheet extends EventTarget {
  #list = byId("sheet", HTMLUListElement);
  #album = byId("album", HTMLElement);
  #enlarge = byId("sheet-enlarge", HTMLButtonElement);
  /** @type {Map<Picture, Tile>} */
  #tiles = new Map();
  /** @type {Picture | null} */
  #shown = null;
  /** Whether a person has chosen the size of the sheet. */
  #sized = false;

  /**
   * @param {import("./album.js").Album} album
   * @param {import("./runner.js").Runner} runner
   */
  constructor(album, runner) {
    super();
    this.album = album;
    this.runner = runner;
    this.#list.addEventListener("keydown", (event) => this.#onKey(event));
    onClick(this.#enlarge, () => {
      this.#sized = true;
      this.#setLarge(!this.large);
    });
    onClick(byId("unselect", HTMLButtonElement), () => {
      within(this.#list, "[aria-current]", HTMLElement).focus(); // the button is about to be hidden
      album.select([]);
    });
    onClick(byId("clear", HTMLButtonElement), () => this.#remove(album.scope));
  }

  get large() {
    return document.body.classList.contains("sheet-large");
  }

  draw() {
    const { pictures, shown, selected } = this.album;
    const present = new Set(pictures);
    for (const [picture, { tile }] of this.#tiles) {
      if (present.has(picture)) continue;
      tile.remove();
      this.#tiles.delete(picture);
    }
    const [ahead, stale] = [new Set(this.runner.ahead), new Set(this.runner.stale)];
    for (const [place, picture] of pictures.entries()) {
      const parts = this.#tiles.get(picture) ?? this.#make(picture);
      if (this.#list.children[place] !== parts.tile) this.#list.insertBefore(parts.tile, this.#list.children[place] ?? null);
      this.#fill(picture, parts, ahead.has(picture), stale.has(picture));
    }
    this.#list.classList.toggle("many", pictures.length >= HUNDREDS);
    const few = pictures.length < 2;
    this.#enlarge.hidden = few;
    if (few || (!this.#sized && !this.album.inUse() && pictures.length >= MANY !== this.large)) this.#setLarge(!few && pictures.length >= MANY);
    if (pictures.length === 0) this.#sized = false;
    const count = selected.size;
    byId("sheet-title", HTMLElement).textContent = count ? plural("selected", count) : plural("images", pictures.length);
    byId("unselect", HTMLElement).hidden = count === 0;
    byId("clear", HTMLElement).textContent = t(count ? "remove.selected" : "clear");
    this.#list.classList.toggle("selecting", count > 0);
    if (shown !== this.#shown && shown) this.#tiles.get(shown)?.tile.scrollIntoView({ block: "nearest" });
    this.#shown = shown;
  }

  /** Show a picture in the previews. @param {Picture} picture */
  open(picture) {
    this.#sized = true;
    this.#setLarge(false);
    this.album.choose(picture);
  }

  /** @param {boolean} large */
  #setLarge(large) {
    if (large === this.large) return;
    const focused = document.activeElement; // which loses the focus while it moves
    document.body.classList.toggle("sheet-large", large);
    this.#enlarge.setAttribute("aria-pressed", String(large));
    if (large) byId("stageground", HTMLElement).prepend(this.#album);
    else byId("key", HTMLElement).after(this.#album);
    if (focused instanceof HTMLElement && this.#album.contains(focused)) focused.focus();
  }

  /**
   * @param {Picture} picture
   * @returns {Tile}
   */
  #make(picture) {
    const tile = make("li", "tile");
    const pick = make("button", "pick");
    const thumb = make("span", "thumb");
    const mark = make("span", "mark");
    const state = make("span", "tile-state");
    const check = make("input", "tile-check");
    const retry = make("button", "tile-tool retry");
    const remove = make("button", "tile-tool remove");
    pick.type = retry.type = remove.type = "button";
    check.type = "checkbox";
    pick.title = picture.folder + picture.name;
    thumb.append(icon("picture"));
    pick.append(thumb, mark, make("span", "tile-name", picture.name), state);
    retry.append(icon("again"));
    remove.append(icon("close"));
    tile.append(pick, check, retry, remove);
    pick.addEventListener("click", (event) => this.#onPick(event, picture));
    check.addEventListener("click", ({ shiftKey }) => {
      if (shiftKey) this.album.extendTo(picture);
      else this.album.toggle(picture);
    });
    onClick(retry, () => {
      pick.focus(); // this one is about to be hidden
      this.runner.start([picture]);
    });
    onClick(remove, () => this.#remove([picture]));
    const parts = { tile, pick, thumb, state, mark, check, retry, remove, drawn: "", drawnThumb: null };
    this.#tiles.set(picture, parts);
    return parts;
  }

  /**
   * Only a tile about which something is new is touched: there may be hundreds.
   * @param {Picture} picture
   * @param {Tile} parts
   * @param {boolean} ahead whether it waits for its turn
   * @param {boolean} stale whether its result is of other options
   */
  #fill(picture, parts, ahead, stale) {
    const { tile, pick, thumb, state, mark, check, retry, remove } = parts;
    const { album, runner } = this;
    if (picture.thumb && picture.thumb !== parts.drawnThumb) {
      parts.drawnThumb = picture.thumb;
      thumb.replaceChildren(thumbOf(picture.thumb));
    }
    const current = album.shown === picture;
    const selected = album.selected.has(picture);
    const again = !runner.running && (stale || picture.state === "cancelled" || picture.retriable);
    const how = stale ? t("state.stale") : stateText(picture, ahead);
    const drawn = [picture.state, current, selected, again, how, locale()].join();
    if (drawn === parts.drawn) return;
    parts.drawn = drawn;
    tile.dataset.state = stale ? "stale" : picture.state;
    tile.classList.toggle("current", current);
    tile.classList.toggle("selected", selected);
    check.checked = selected;
    if (current) pick.setAttribute("aria-current", "true");
    else pick.removeAttribute("aria-current");
    for (const each of [pick, check, retry, remove]) each.tabIndex = current ? 0 : -1; // arrows move
    state.textContent = how;
    state.title = picture.problem && picture.failed ? picture.problem.text : how;
    const sign = MARKS[/** @type {keyof typeof MARKS} */ (picture.state)];
    mark.replaceChildren(...(sign ? [icon(sign)] : []));
    mark.classList.toggle("turning", picture.busy);
    retry.hidden = !again;
    remove.hidden = picture.busy;
    const { name } = picture;
    label(retry, t("retry.name", { name }));
    label(remove, t("remove", { name }));
    label(check, t("select", { name }));
  }

  /** @param {MouseEvent} event @param {Picture} picture */
  #onPick(event, picture) {
    if (event.shiftKey) return this.album.extendTo(picture);
    if (event.ctrlKey || event.metaKey) return this.album.toggle(picture);
    if (this.large) return this.open(picture);
    this.album.choose(picture);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const { album } = this;
    const focused = /** @type {Node} */ (event.target);
    const at = album.pictures.find((each) => this.#tiles.get(each)?.tile.contains(focused));
    if (!at || event.altKey) return;
    const onPick = focused === this.#tiles.get(at)?.pick;
    const act = this.#keyAct(event, at, onPick);
    if (!act) return;
    event.preventDefault();
    act();
  }

  /**
   * @param {KeyboardEvent} event
   * @param {Picture} at the picture that has the focus
   * @param {boolean} onPick and not one of its buttons
   * @returns {(() => void) | null}
   */
  #keyAct({ key, ctrlKey, metaKey, shiftKey }, at, onPick) {
    const { album } = this;
    if (ctrlKey || metaKey) return key === "a" ? () => album.select(album.pictures) : null;
    if (key === "Delete" || key === "Backspace") return () => this.#remove(album.selected.has(at) ? album.scope : [at]);
    if (key === "Escape" && album.selected.size) return () => album.select([]);
    if (key === "Escape" && this.large) return () => this.open(at);
    if (key === " " && onPick) return () => album.toggle(at);
    const columns = getComputedStyle(this.#list).gridTemplateColumns.split(" ").length;
    /** @type {Record<string, number>} */
    const steps = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns,
      PageUp: -4 * columns, PageDown: 4 * columns, Home: -Infinity, End: Infinity,
    }; // prettier-ignore
    const step = steps[key];
    if (step === undefined) return null;
    const place = Math.min(Math.max(album.pictures.indexOf(at) + step, 0), album.pictures.length - 1);
    const picture = album.pictures[place];
    return picture ? () => this.#go(picture, shiftKey) : null;
  }

  /** @param {Picture} picture @param {boolean} extend */
  #go(picture, extend) {
    if (extend) this.album.extendTo(picture);
    else this.album.choose(picture);
    this.draw();
    this.#tiles.get(picture)?.pick.focus();
  }

  /** @param {Picture[]} pictures */
  #remove(pictures) {
    const tiles = this.album.pictures.map((each) => this.#tiles.get(each)?.tile);
    const place = this.album.pictures.findIndex((each) => pictures.includes(each));
    const near = [...tiles.slice(place), ...tiles.slice(0, Math.max(place, 0)).reverse()];
    this.dispatchEvent(new CustomEvent("remove", { detail: pictures }));
    this.draw();
    const left = near.find((tile) => tile?.isConnected);
    (left?.querySelector("button") ?? byId("files", HTMLInputElement)).focus();
  }
}

/** @param {Blob} thumb */
function thumbOf(thumb) {
  const image = make("img", "");
  image.alt = "";
  image.draggable = false;
  image.src = URL.createObjectURL(thumb);
  image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
  return image;
}

/** @param {HTMLElement} button @param {string} text */
function label(button, text) {
  button.title = text;
  button.setAttribute("aria-label", text);
}
