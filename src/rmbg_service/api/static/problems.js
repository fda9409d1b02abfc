/** What goes wrong, and what to tell a person about it. */

import { bytesText, isWord, t } from "./i18n.js";

/** An error with the stable name that the service (RFC 9457) or this page gives it. */
export class Problem extends Error {
  /**
   * @param {string} type
   * @param {string} [detail] in the service's words
   * @param {{retryAfter?: number, requestId?: string}} [more] seconds to wait; the id in its log
   */
  constructor(type, detail = "", { retryAfter = 0, requestId = "" } = {}) {
    super(detail || type);
    this.type = type;
    this.detail = detail;
    this.retryAfter = retryAfter;
    this.requestId = requestId;
  }

  get title() {
    return t(this.#word("title"));
  }

  /**
   * What to do.
   * @param {import("./api.js").Limits} limits
   */
  advice(limits) {
    return t(this.#word("advice"), {
      size: bytesText(limits.max_body_bytes),
      pixels: Math.floor(limits.max_image_pixels / 1e6),
    });
  }

  /** @param {"title" | "advice"} part */
  #word(part) {
    const word = `problem.${this.type}.${part}`;
    return isWord(word) ? word : /** @type {const} */ (`problem.other.${part}`);
  }
}

/**
 * The problem that an answer tells of, whatever stands in its way to the service.
 * @param {string} body
 * @param {string | null} retryAfter
 */
export function readProblem(body, retryAfter) {
  const more = { retryAfter: Math.ceil(Number(retryAfter)) || 0 };
  try {
    const { type = "other", detail = "", request_id: requestId = "" } = JSON.parse(body);
    return new Problem(String(type), String(detail), { ...more, requestId: String(requestId) });
  } catch {
    return new Problem("other", body.slice(0, 200), more);
  }
}
