/** The list of the pictures: what each is and what becomes of it. */

import { byId, icon, make, onClick } from "./dom.js";
import { bytesText, t } from "./i18n.js";
import { stageText } from "./controls.js";

/** @typedef {import("./album.js").Picture} Picture */

/** A row's parts that change, and what it was last drawn from. @typedef {{row: HTMLLIElement, pick: HTMLButtonElement, thumb: HTMLElement, facts: HTMLElement, state: HTMLElement, retry: HTMLButtonElement, remove: HTMLButtonElement, drawn: string}} Row */

/** Rows for each key that moves in the list. */
const MOVES = { ArrowUp: -1, ArrowDown: 1, PageUp: -5, PageDown: 5, Home: -Infinity, End: Infinity };

export class Strip {
  #list = byId("strip", HTMLUListElement);
  /** @type {Map<Picture, Row>} */
  #rows = new Map();
  /** @type {Picture | null} */
  #shown = null;

  /**
   * @param {import("./album.js").Album} album
   * @param {import("./runner.js").Runner} runner
   */
  constructor(album, runner) {
    this.album = album;
    this.runner = runner;
    this.#list.addEventListener("keydown", (event) => this.#move(event));
    onClick(byId("failed", HTMLButtonElement), () => this.#showNextFailed());
  }

  draw() {
    const { pictures, shown } = this.album;
    const present = new Set(pictures);
    for (const [picture, { row }] of this.#rows) {
      if (present.has(picture)) continue;
      row.remove();
      this.#rows.delete(picture);
    }
    const [ahead, stale] = [new Set(this.runner.ahead), new Set(this.runner.stale)];
    for (const picture of pictures) {
      let row = this.#rows.get(picture);
      if (!row) {
        row = this.#make(picture);
        this.#rows.set(picture, row);
        this.#list.append(row.row);
      }
      this.#fill(picture, row, ahead.has(picture), stale.has(picture));
    }
    if (shown !== this.#shown) this.#reveal(shown);
    this.#shown = shown;
  }

  /**
   * @param {Picture} picture
   * @returns {Row}
   */
  #make(picture) {
    const row = make("li", "row");
    const pick = make("button", "pick");
    const thumb = make("span", "thumb");
    const text = make("span", "row-text");
    const facts = make("span", "row-facts");
    const size = make("span", "row-size");
    const state = make("span", "row-state");
    const retry = make("button", "tool");
    const remove = make("button", "tool");
    pick.type = retry.type = remove.type = "button";
    pick.title = picture.folder + picture.name;
    thumb.append(icon("picture"));
    facts.append(size, state);
    text.append(make("span", "row-name", picture.name), facts);
    pick.append(thumb, text);
    retry.append(icon("again"));
    remove.append(icon("close"));
    row.append(pick, retry, remove);
    onClick(pick, () => this.album.choose(picture));
    onClick(retry, () => {
      pick.focus(); // this one is about to be hidden
      this.runner.start([picture]);
    });
    onClick(remove, () => this.#remove(picture));
    return { row, pick, thumb, facts: size, state, retry, remove, drawn: "" };
  }

  /**
   * Only a row about which something is new is touched: there may be hundreds.
   * @param {Picture} picture
   * @param {Row} parts
   * @param {boolean} ahead whether it waits for its turn
   * @param {boolean} stale whether its result is of other options
   */
  #fill(picture, parts, ahead, stale) {
    const { row, pick, thumb, facts, state, retry, remove } = parts;
    const { album, runner } = this;
    if (picture.thumb && thumb.firstChild !== picture.thumb) thumb.replaceChildren(picture.thumb);
    const current = album.shown === picture;
    const again = !runner.running && (stale || picture.state === "cancelled" || picture.retriable);
    const size = bytesText(picture.file.size);
    const how = stale ? t("state.stale") : stateText(picture, ahead);
    const names = [t("retry.name", { name: picture.name }), t("remove", { name: picture.name })];
    const drawn = [picture.state, current, again, size, how, ...names].join("\n");
    if (drawn === parts.drawn) return;
    parts.drawn = drawn;
    row.dataset.state = stale ? "stale" : picture.state;
    if (current) pick.setAttribute("aria-current", "true");
    else pick.removeAttribute("aria-current");
    for (const button of [pick, retry, remove]) button.tabIndex = current ? 0 : -1; // arrows move
    facts.textContent = size;
    state.textContent = how;
    retry.hidden = !again;
    remove.hidden = picture.busy;
    label(retry, names[0] ?? "");
    label(remove, names[1] ?? "");
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const { pictures } = this.album;
    const focused = /** @type {Node} */ (event.target);
    const at = pictures.find((each) => this.#rows.get(each)?.row.contains(focused));
    if (!at || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Delete" && !at.busy) {
      event.preventDefault();
      return this.#remove(at);
    }
    const step = MOVES[/** @type {keyof typeof MOVES} */ (event.key)];
    if (step === undefined) return;
    event.preventDefault();
    const place = Math.min(Math.max(pictures.indexOf(at) + step, 0), pictures.length - 1);
    const picture = pictures[place];
    if (!picture) return;
    this.album.choose(picture);
    this.draw();
    this.#rows.get(picture)?.pick.focus();
  }

  /** @param {Picture} picture */
  #remove(picture) {
    const row = this.#rows.get(picture)?.row;
    const next = row?.nextElementSibling ?? row?.previousElementSibling;
    this.album.remove(picture);
    const focused = next?.querySelector("button") ?? byId("files", HTMLInputElement);
    focused.focus();
  }

  #showNextFailed() {
    const { pictures, shown } = this.album;
    const place = shown ? pictures.indexOf(shown) + 1 : 0;
    const next = [...pictures.slice(place), ...pictures.slice(0, place)].find(({ failed }) => failed);
    if (next) this.album.choose(next);
  }

  /** Scroll the list, and only the list, to a row. @param {Picture | null} picture */
  #reveal(picture) {
    const row = picture && this.#rows.get(picture)?.row;
    if (!row) return;
    const [list, place] = [this.#list.getBoundingClientRect(), row.getBoundingClientRect()];
    if (place.top < list.top) this.#list.scrollTop += place.top - list.top;
    if (place.bottom > list.bottom) this.#list.scrollTop += place.bottom - list.bottom;
  }
}

/**
 * @param {Picture} picture
 * @param {boolean} ahead whether it waits for its turn
 */
function stateText(picture, ahead) {
  switch (picture.state) {
    case "working":
      return stageText(picture);
    case "failed":
    case "refused":
      return picture.problem?.title ?? t("state.failed");
    case "waiting":
      return t(ahead ? "state.next" : "state.waiting");
    case "backoff":
      return t(picture.problem?.type === "network" ? "state.lost" : "state.backoff", { seconds: picture.seconds });
    default:
      return t(`state.${picture.state}`);
  }
}

/** @param {HTMLElement} button @param {string} text */
function label(button, text) {
  button.title = text;
  button.setAttribute("aria-label", text);
}
