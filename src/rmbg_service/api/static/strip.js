/** The list of the pictures: what each is and what becomes of it. */

import { byId, icon, make, onClick } from "./dom.js";
import { bytesText, t } from "./i18n.js";
import { stageText } from "./controls.js";

/** @typedef {import("./album.js").Picture} Picture */

/** A row's parts that change. @typedef {{row: HTMLLIElement, pick: HTMLButtonElement, thumb: HTMLElement, facts: HTMLElement, state: HTMLElement, retry: HTMLButtonElement, remove: HTMLButtonElement}} Row */

export class Strip {
  #list = byId("strip", HTMLUListElement);
  /** @type {Map<Picture, Row>} */
  #rows = new Map();

  /**
   * @param {import("./album.js").Album} album
   * @param {import("./runner.js").Runner} runner
   */
  constructor(album, runner) {
    this.album = album;
    this.runner = runner;
  }

  draw() {
    for (const [picture, { row }] of this.#rows) {
      if (this.album.pictures.includes(picture)) continue;
      row.remove();
      this.#rows.delete(picture);
    }
    for (const picture of this.album.pictures) {
      let row = this.#rows.get(picture);
      if (!row) {
        row = this.#make(picture);
        this.#rows.set(picture, row);
        this.#list.append(row.row);
      }
      this.#fill(picture, row);
    }
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
    thumb.append(icon("picture"));
    facts.append(size, state);
    text.append(make("span", "row-name", picture.name), facts);
    pick.append(thumb, text);
    retry.append(icon("again"));
    remove.append(icon("close"));
    row.append(pick, retry, remove);
    onClick(pick, () => this.album.show(picture));
    onClick(retry, () => {
      pick.focus(); // this one is about to be hidden
      this.runner.start([picture]);
    });
    onClick(remove, () => {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      this.album.remove(picture);
      const focused = next?.querySelector("button") ?? byId("files", HTMLInputElement);
      focused.focus();
    });
    return { row, pick, thumb, facts: size, state, retry, remove };
  }

  /**
   * @param {Picture} picture
   * @param {Row} row
   */
  #fill(picture, { row, pick, thumb, facts, state, retry, remove }) {
    row.dataset.state = picture.state;
    if (this.album.shown === picture) pick.setAttribute("aria-current", "true");
    else pick.removeAttribute("aria-current");
    facts.textContent = bytesText(picture.file.size);
    state.textContent = stateText(picture, this.runner.running);
    if (picture.thumb && thumb.firstChild !== picture.thumb) thumb.replaceChildren(picture.thumb);
    const again = picture.state === "failed" || picture.state === "cancelled";
    retry.hidden = !again || this.runner.running;
    remove.hidden = picture.busy;
    label(retry, t("retry.name", { name: picture.name }));
    label(remove, t("remove", { name: picture.name }));
  }
}

/**
 * @param {Picture} picture
 * @param {boolean} running
 */
function stateText(picture, running) {
  switch (picture.state) {
    case "working":
      return stageText(picture);
    case "failed":
    case "refused":
      return picture.problem?.title ?? t("state.failed");
    case "waiting":
      return t(running ? "state.next" : "state.waiting");
    case "backoff":
      return t("state.backoff", { seconds: picture.seconds });
    default:
      return t(`state.${picture.state}`);
  }
}

/** @param {HTMLElement} button @param {string} text */
function label(button, text) {
  button.title = text;
  button.setAttribute("aria-label", text);
}
