/** Touching up a result: the brush's tools, and the service applies each stroke. */

import { pause, removeBackground } from "./api.js";
import { byId, onClick, setIdle, within } from "./dom.js";
import { say } from "./i18n.js";
import { isTyping, singleKey } from "./keys.js";
import { Mend } from "./mend.js";
import { Painting } from "./painting.js";
import { Problem } from "./problems.js";
import { queryOf } from "./runner.js";
import { NO_STROKES } from "./strokes.js";

/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {import("./cutout.js").Cutout} Cutout */

/** The options that what is painted on depends on: it is neither cropped nor placed, and has no shadow. */
const PLAIN = ["output", "format", "detail", "decontaminate", "roi"];
const SIZE_STEP = 1.15;
/** As many results can be gone back to at once; those before are asked for again. */
const KEPT_RESULTS = 12;

/** Tells with `begin` that somebody paints, with `made` that a picture has another result. */
export class Brush extends EventTarget {
  #button = byId("touch-up", HTMLButtonElement);
  #tools = byId("brush-tools", HTMLElement);
  #size = byId("brush-size", HTMLInputElement);
  #smart = byId("brush-smart", HTMLInputElement);
  /** @type {Picture | null} */
  #picture = null;
  /** Results of these options by the strokes that they have in them. @type {Map<import("./mend.js").Strokes, Cutout>} */
  #results = new Map();
  #madeWith = "";
  #request = new AbortController();

  /**
   * @param {import("./album.js").Album} album
   * @param {import("./viewer.js").Viewer} viewer
   * @param {(picture: Picture) => Record<string, string>} options of one picture
   * @param {() => string} key
   * @param {import("./runner.js").Runner} runner
   */
  constructor(album, viewer, options, key, runner) {
    super();
    this.album = album;
    this.viewer = viewer;
    this.options = options;
    this.key = key;
    this.runner = runner;
    this.painting = new Painting(viewer.result, () => ({
      keep: within(this.#tools, "input[name=brush]:checked", HTMLInputElement).value === "keep",
      smart: this.#smart.checked,
      radius: this.#size.valueAsNumber / 2,
    }));
    this.painting.addEventListener("stroke", (event) => {
      if (event instanceof CustomEvent) this.#change((mend) => mend.add(event.detail));
    });
    this.painting.addEventListener("wheel", (event) => {
      if (event instanceof CustomEvent) this.#resize(event.detail);
    });
    this.#tools.addEventListener("input", () => this.painting.draw());
    onClick(this.#button, () => this.start());
    onClick(byId("brush-undo", HTMLButtonElement), () => this.#change((mend) => mend.undo()));
    onClick(byId("brush-redo", HTMLButtonElement), () => this.#change((mend) => mend.redo()));
    onClick(byId("brush-clear", HTMLButtonElement), () => this.#change((mend) => mend.clear()));
    onClick(byId("brush-done", HTMLButtonElement), () => this.#leave());
    document.addEventListener("keydown", (event) => this.#onKey(event));
  }

  get active() {
    return this.#picture !== null;
  }

  /** Offer it to those who have a service that knows strokes. @param {boolean} known */
  offer(known) {
    this.#button.hidden = !known;
  }

  /** Paint on the picture on show. */
  async start() {
    const picture = this.album.shown;
    if (!picture?.cutout || picture.busy || this.#picture) return;
    this.dispatchEvent(new Event("begin"));
    this.#picture = picture;
    picture.release = () => this.stop();
    this.#problem(() => "");
    this.draw();
    this.#tools.scrollIntoView({ block: "nearest" }); // on a phone they would lie under the large button
    this.painting.on = true; // begins in the middle of the preview, which has its room by now
    await this.#try(async (signal) => {
      const plain = this.#plain(picture);
      const { strokes, applied } = picture;
      const asIs = picture.madeWith === queryOf(plain) && applied === strokes;
      const cutout = asIs && picture.cutout ? picture.cutout : await this.#ask(picture, plain, signal);
      picture.mend ??= new Mend(picture.file, cutout, this.key);
      this.#keep(strokes, cutout, plain);
      await this.#show(picture, cutout, strokes);
    });
    if (this.#picture === picture) this.viewer.result.element.focus({ preventScroll: true });
  }

  /** Back to looking. What was painted is in the result, with all its options. */
  stop() {
    const picture = this.#picture;
    if (!picture) return;
    this.#request.abort();
    this.#results.clear(); // they are large
    this.#picture = picture.release = null;
    this.#end(picture);
    this.painting.on = false;
    this.viewer.edit(null);
    this.draw();
    this.album.changed(); // the tools of the result are back
    if (picture.applied !== picture.strokes) this.runner.start([picture]);
  }

  #leave() {
    this.stop();
    this.#button.focus();
  }

  draw() {
    const picture = this.#picture;
    if (picture && this.album.shown !== picture) return this.stop();
    this.#tools.hidden = !picture;
    byId("tools", HTMLElement).hidden = Boolean(picture) || !this.album.shown?.cutout;
    setIdle(this.#button, Boolean(this.album.shown?.busy));
    setIdle(byId("brush-undo", HTMLElement), !picture?.mend?.canUndo);
    setIdle(byId("brush-redo", HTMLElement), !picture?.mend?.canRedo);
    setIdle(byId("brush-clear", HTMLElement), !picture?.strokes.length);
  }

  /** @param {(mend: Mend) => void} act */
  #change(act) {
    const picture = this.#picture;
    const mend = picture?.mend;
    if (!picture || !mend) return this.painting.settle(); // painted before there was something to paint on
    act(mend);
    this.#problem(() => "");
    this.draw();
    const plain = this.#plain(picture);
    const { strokes } = mend;
    const known = this.#madeWith === queryOf(plain) ? this.#results.get(strokes) : null;
    // With options that ask for more than what is painted on, a run applies them.
    this.album.update(picture, { applying: queryOf(this.options(picture)) === queryOf(plain) });
    this.#try(async (signal) => {
      const cutout = known ?? (await this.#ask(picture, plain, signal));
      this.#keep(strokes, cutout, plain);
      await this.#take(picture, cutout, strokes);
    });
  }

  /**
   * One request at a time: a newer stroke takes the place of the one before, and has it in it.
   * @param {(signal: AbortSignal) => Promise<void>} act
   */
  async #try(act) {
    this.#request.abort();
    const request = new AbortController();
    this.#request = request;
    this.#busy = true;
    try {
      await act(request.signal);
    } catch (error) {
      if (request.signal.aborted) return;
      this.painting.settle();
      this.#problem(() => (error instanceof Problem ? error.text : String(error)));
    }
    if (this.#request === request && this.#picture) this.#end(this.#picture);
  }

  /** No stroke is on its way any more. @param {Picture} picture */
  #end(picture) {
    this.#busy = false;
    this.album.update(picture, { applying: false });
  }

  /**
   * The picture with its strokes. A service that is busy with other pictures is asked again.
   * @param {Picture} picture
   * @param {Record<string, string>} plain options
   * @param {AbortSignal} signal
   */
  async #ask(picture, plain, signal) {
    const guidance = (await picture.mend?.guidance(plain)) ?? null;
    for (;;) {
      signal.throwIfAborted();
      try {
        return await removeBackground(picture.file, plain, this.key(), () => {}, signal, guidance);
      } catch (error) {
        if (!(error instanceof Problem) || error.type !== "overloaded") throw error;
        await pause(error.retryAfter, signal);
      }
    }
  }

  /**
   * A new result: the picture's own, unless its options ask for more than what is painted on.
   * @param {Picture} picture
   * @param {Cutout} cutout
   * @param {import("./mend.js").Strokes} applied
   */
  async #take(picture, cutout, applied) {
    const seen = this.#show(picture, cutout, applied);
    const madeWith = this.#madeWith;
    if (queryOf(this.options(picture)) !== madeWith) this.album.changed();
    else {
      this.album.update(picture, { cutout, madeWith, applied, saved: false, state: "done", problem: null });
      this.dispatchEvent(new CustomEvent("made", { detail: picture }));
    }
    await seen;
  }

  /**
   * @param {import("./mend.js").Strokes} strokes
   * @param {Cutout} cutout
   * @param {Record<string, string>} plain options that it was made with
   */
  #keep(strokes, cutout, plain) {
    if (this.#madeWith !== queryOf(plain)) this.#results.clear();
    this.#madeWith = queryOf(plain);
    this.#results.set(strokes, cutout);
    const [oldest] = [...this.#results.keys()].filter((each) => each !== NO_STROKES); // which would ask the network
    if (oldest && this.#results.size > KEPT_RESULTS) this.#results.delete(oldest);
  }

  /**
   * Ends when it is seen: then only what was painted since has still to be marked.
   * @param {Picture} picture
   * @param {Cutout} cutout
   * @param {import("./mend.js").Strokes} applied
   */
  async #show(picture, cutout, applied) {
    if (this.#picture !== picture) return;
    const seen = this.viewer.edit({ picture, cutout });
    this.draw();
    await seen;
    if (this.#picture === picture) this.painting.settle(picture.strokes.filter((each) => !applied.includes(each)));
  }

  /** @param {Picture} picture */
  #plain(picture) {
    return Object.fromEntries(Object.entries(this.options(picture)).filter(([name]) => PLAIN.includes(name)));
  }

  /** @param {boolean} busy */
  set #busy(busy) {
    byId("brush-busy", HTMLElement).hidden = !busy;
  }

  /** @param {() => string} text */
  #problem(text) {
    say(byId("brush-problem", HTMLElement), text);
  }

  /** @param {number} way 1 for larger, -1 for smaller */
  #resize(way) {
    this.#size.valueAsNumber = Math.round(this.#size.valueAsNumber * SIZE_STEP ** way + way);
    this.painting.draw();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (!this.active || isTyping(event.target) || event.defaultPrevented) return;
    const command = event.ctrlKey || event.metaKey;
    const pressed = event.key.length === 1 ? singleKey(event) : event.key;
    const name = command ? `${event.shiftKey ? "shift" : "ctrl"}+${event.key.toLowerCase()}` : pressed;
    /** @type {Record<string, () => void>} */
    const acts = {
      "[": () => this.#resize(-1),
      "]": () => this.#resize(1),
      k: () => this.#pick("keep"),
      e: () => this.#pick("erase"),
      "ctrl+z": () => this.#change((mend) => mend.undo()),
      "shift+z": () => this.#change((mend) => mend.redo()),
      "ctrl+y": () => this.#change((mend) => mend.redo()),
      Escape: () => this.#leave(),
    };
    const act = acts[name];
    if (!act) return;
    event.preventDefault();
    act();
  }

  /** @param {"keep" | "erase"} value */
  #pick(value) {
    within(this.#tools, `input[value=${value}]`, HTMLInputElement).checked = true;
    this.painting.draw();
  }
}
