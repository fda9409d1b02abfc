/** The pictures on the page: which one is shown, which are selected, and what was removed last. */

import { Picture } from "./picture.js";

/** Tells with `change` that something about the pictures is new. They are in their order. */
export class Album extends EventTarget {
  /** @type {Picture[]} */
  pictures = [];
  /** @type {Picture | null} */
  shown = null;
  /** Those that options and downloads are for; none means all. @type {Set<Picture>} */
  selected = new Set();
  /** Whether what is in work or new is shown, or what a person looks at stays. */
  following = true;
  /** Whether somebody is at work on the one that is shown, which then stays. */
  inUse = () => false;
  /** What was removed last, and where each one was. @type {{picture: Picture, place: number}[]} */
  #removed = [];

  /** Those with a result. */
  get results() {
    return this.pictures.filter(({ cutout }) => cutout);
  }

  /** Results that would be lost with the page. */
  get unsaved() {
    return this.results.filter(({ saved }) => !saved);
  }

  /** Those that options and downloads are for. */
  get scope() {
    return this.selected.size ? this.pictures.filter((each) => this.selected.has(each)) : this.pictures;
  }

  /**
   * Those whose file is on the page already, or comes more than once: all but the first.
   * @param {import("./intake.js").Arrival[]} arrivals
   */
  twinsAmong(arrivals) {
    const known = new Set(this.pictures.map(identityOf));
    return arrivals.filter((each) => {
      const identity = identityOf(each);
      if (known.has(identity)) return true;
      known.add(identity);
      return false;
    });
  }

  /** @param {Picture[]} pictures */
  add(pictures) {
    this.pictures.push(...pictures);
    this.#follow(pictures[0]);
    this.changed();
  }

  /**
   * Take pictures away, but for the one in work. Until the next time this can be undone.
   * @param {Picture[]} pictures
   * @returns {Picture[]} those that are gone
   */
  remove(pictures) {
    const gone = new Set(pictures.filter(({ busy }) => !busy));
    if (gone.size === 0) return [];
    this.#removed = this.pictures
      .map((picture, place) => ({ picture, place }))
      .filter(({ picture }) => gone.has(picture));
    const place = this.shown ? this.pictures.indexOf(this.shown) : 0;
    const next = [...this.pictures.slice(place), ...this.pictures.slice(0, place).reverse()];
    this.shown = next.find((each) => !gone.has(each)) ?? null;
    this.pictures = this.pictures.filter((each) => !gone.has(each));
    for (const picture of gone) this.selected.delete(picture);
    this.changed();
    return [...gone];
  }

  /** Put what was removed last where it was. */
  restore() {
    const [first] = this.#removed;
    if (!first) return;
    for (const { picture, place } of this.#removed) this.pictures.splice(place, 0, picture);
    this.#removed = [];
    this.choose(first.picture);
  }

  /** Undoing comes too late now: let the files and results go. */
  forget() {
    this.#removed = [];
  }

  /** Show what a person has chosen, and stay there. @param {Picture} picture */
  choose(picture) {
    this.following = false;
    this.shown = picture;
    this.changed();
  }

  /** Select `picture` or no longer. @param {Picture} picture */
  toggle(picture) {
    if (!this.selected.delete(picture)) this.selected.add(picture);
    this.choose(picture);
  }

  /** Select all from the one that is shown to `picture`. @param {Picture} picture */
  extendTo(picture) {
    const [from, to] = [this.pictures.indexOf(this.shown ?? picture), this.pictures.indexOf(picture)];
    for (const each of this.pictures.slice(Math.min(from, to), Math.max(from, to) + 1)) {
      this.selected.add(each);
    }
    this.choose(picture);
  }

  /** @param {Picture[]} pictures */
  select(pictures) {
    this.selected = new Set(pictures);
    this.changed();
  }

  /** Show what happens, unless a person looks at something else. @param {Picture} picture */
  show(picture) {
    this.#follow(picture);
    this.changed();
  }

  /**
   * Change some members of a picture.
   * @param {Picture} picture
   * @param {Partial<Picture>} members
   */
  update(picture, members) {
    Object.assign(picture, members);
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Picture | undefined} picture */
  #follow(picture) {
    if (picture && (!this.shown || (this.following && !this.inUse()))) this.shown = picture;
  }
}

/** What tells a file from others, as far as a page can see. @param {import("./intake.js").Arrival} arrival */
function identityOf({ file: { name, size, lastModified }, folder }) {
  return `${folder}${name} ${size} ${lastModified}`;
}
