/** What goes wrong, and what to tell a person about it. */

import { bytesText, isWord, locale, pixelsText, t } from "./i18n.js";

/** Sending the same picture again would fail again. */
const FINAL = new Set([
  "not-an-image", "empty-file", "file-too-large", "image-too-large", "invalid-image", "unsupported-media-type",
  "unreadable-file",
]); // prettier-ignore
/** What a proxy means that does not speak as the service does. @type {Record<number, string>} */
const PROXY = { 413: "file-too-large", 429: "overloaded", 502: "not-ready", 503: "not-ready", 504: "deadline-exceeded" };
/** Seconds to wait where whatever refuses the request does not say how long. */
const WAIT_S = 5;

/** An error with the stable name that the service (RFC 9457) or this page gives it. */
export class Problem extends Error {
  #detail;

  /**
   * @param {string} type
   * @param {string} [detail] in the service's words
   * @param {{language?: string, retryAfter?: number, requestId?: string}} [more] of the detail, ""
   *   for none in particular; seconds to wait; the id in the service's log
   */
  constructor(type, detail = "", { language = "", retryAfter = 0, requestId = "" } = {}) {
    super(detail || type);
    this.#detail = detail;
    this.type = type;
    this.language = language;
    this.retryAfter = retryAfter;
    this.requestId = requestId;
  }

  /** What the service says; "" while the page speaks another language than the service did. */
  get detail() {
    return locale().startsWith(this.language) ? this.#detail : "";
  }

  /** Whether another try is of no use. */
  get final() {
    return FINAL.has(this.type);
  }

  get title() {
    return t(this.#word("title"));
  }

  /** The title, and what the service says, in one line. */
  get text() {
    return this.detail ? t("problem.text", { title: this.title, detail: this.detail }) : this.title;
  }

  /**
   * What to do.
   * @param {import("./api.js").Limits} limits
   */
  advice(limits) {
    return t(this.#word("advice"), {
      size: bytesText(limits.max_body_bytes),
      pixels: pixelsText(limits.max_image_pixels),
    });
  }

  /** @param {"title" | "advice"} part */
  #word(part) {
    const word = `problem.${this.type}.${part}`;
    return isWord(word) ? word : /** @type {const} */ (`problem.other.${part}`);
  }
}

/**
 * The problem that an answer tells of, be it the service's or that of a proxy before it.
 * @param {number} status
 * @param {string} body
 * @param {(name: string) => string | null} headers of the answer
 */
export function readProblem(status, body, headers) {
  const retryAfter = headers("Retry-After");
  const seconds = [429, 502, 503].includes(status) ? secondsOf(retryAfter) : 0;
  try {
    const { type = "other", detail = "", request_id: requestId = "" } = JSON.parse(body);
    // The service says itself when to come back; a device that has failed does not.
    const language = headers("Content-Language")?.slice(0, 2) ?? "";
    const more = { language, retryAfter: retryAfter ? seconds : 0, requestId: String(requestId) };
    return new Problem(String(type), String(detail), more);
  } catch {
    return new Problem(PROXY[status] ?? "other", body.slice(0, 200), { retryAfter: seconds });
  }
}

/**
 * Seconds or a date (RFC 9110, section 10.2.3).
 * @param {string | null} retryAfter
 */
function secondsOf(retryAfter) {
  const seconds = Number(retryAfter ?? NaN);
  const left = Number.isNaN(seconds) ? (Date.parse(retryAfter ?? "") - Date.now()) / 1000 : seconds;
  return left > 0 ? Math.ceil(left) : WAIT_S;
}
