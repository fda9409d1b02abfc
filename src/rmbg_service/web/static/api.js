/** The service's API, as far as the page needs it. */

import { readCutout } from "./cutout.js";
import { locale } from "./i18n.js";
import { Problem, readProblem } from "./problems.js";

/**
 * @typedef {object} Limits
 * @property {number} max_body_bytes
 * @property {number} max_image_pixels
 */
/** What a shop wants its pictures to be like. @typedef {{name: string, title: string}} Preset */
/**
 * @typedef {object} Info
 * @property {string} version
 * @property {{name: string, licence: string}} model
 * @property {Limits} limits
 * @property {Record<string, string[]>} options each option and its values, where they are a list
 * @property {Preset[]} [presets] the values of the option `preset`
 * @property {string[]} [images] that it takes beside the picture
 * @property {boolean} api_key_required
 */
/** @typedef {"upload" | "read" | "queue" | "decode" | "predict" | "refine" | "encode" | "download"} StageName */
/**
 * @typedef {object} Progress
 * @property {StageName} stage
 * @property {number} [fraction] of the bytes, while uploading or downloading
 * @property {number} [ahead] jobs ahead in the queue
 */

/** Tells with `unauthorized` that the service does not take the key, whatever it was asked for. */
export const refusals = new EventTarget();

const POLL_MS = 250;
/** How often a file is asked for again while the service is busy. */
const BUSY_TRIES = 5;

/**
 * @param {string} key the API key, "" for none: the service may tell nothing without one
 * @returns {Promise<Info>}
 */
export async function fetchInfo(key) {
  const answer = await fetch("api/info", { headers: commonHeaders(key) });
  if (!answer.ok) throw await problemOf(answer);
  return answer.json();
}

/** @typedef {import("./cutout.js").Cutout} Cutout */
/** @typedef {import("./mend.js").Guidance} Guidance */

/**
 * Remove the background of `file`. Rejects with a `Problem`, or with an `AbortError` when
 * `signal` ends the request; the service then drops the job.
 * @param {File} file
 * @param {Record<string, string>} options
 * @param {string} key the API key, "" for none
 * @param {(progress: Progress) => void} watch
 * @param {AbortSignal} signal
 * @param {Guidance | null} [guidance] in the network's place
 * @returns {Promise<Cutout>}
 */
export function removeBackground(file, options, key, watch, signal, guidance = null) {
  const request = new XMLHttpRequest(); // fetch does not tell how much is uploaded
  const id = newRequestId();
  const polling = new AbortController();
  const { url, body, headers } = requestOf(file, options, key, guidance);
  request.open("POST", url);
  request.responseType = "blob";
  request.setRequestHeader("Accept", options.preset ? "image/*" : "image/png");
  request.setRequestHeader("X-Request-ID", id);
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  request.upload.onprogress = ({ loaded, total }) =>
    watch({ stage: "upload", fraction: total ? loaded / total : 0 });
  request.upload.onload = () => poll(id, watch, polling.signal);
  request.onreadystatechange = () => {
    if (request.readyState >= XMLHttpRequest.HEADERS_RECEIVED) polling.abort();
  };
  request.onprogress = ({ loaded, total }) =>
    watch({ stage: "download", fraction: total ? loaded / total : 0 });
  const cancel = () => request.abort();
  signal.addEventListener("abort", cancel);
  /** @type {Promise<Cutout>} */
  const answered = new Promise((resolve, reject) => {
    const cancelled = () => reject(new DOMException("cancelled", "AbortError"));
    request.onload = () =>
      readAnswer(request, options).then(
        (cutout) => (signal.aborted ? cancelled() : resolve(cutout)), // reading it takes time, too
        reject,
      );
    request.onerror = () => lossOf(file).then(reject);
    request.onabort = cancelled;
  });
  watch({ stage: "upload", fraction: 0 });
  request.send(body);
  return answered.finally(() => {
    polling.abort();
    signal.removeEventListener("abort", cancel);
  });
}

/**
 * The subject, its shadow and the matte as a ZIP of layers. Rejects with a `Problem`.
 * @param {File} file
 * @param {Record<string, string>} options the options of its cutout
 * @param {Guidance | null} guidance
 * @param {string} key
 * @param {AbortSignal} [signal]
 */
export function fetchLayers(file, { format: _, ...options }, guidance, key, signal) {
  return fetchFile(file, { ...options, output: "layers" }, guidance, key, "application/zip", { signal });
}

/**
 * The subject with its mask, its shadow and its background as a PSD. Rejects with a `Problem`.
 * @param {File} file
 * @param {Record<string, string>} options the options of its cutout
 * @param {Guidance | null} guidance
 * @param {import("./backdrop.js").Chosen} backdrop null for none
 * @param {string} key
 * @param {AbortSignal} [signal]
 */
export function fetchPsd(file, options, guidance, backdrop, key, signal) {
  const picture = backdrop && "picture" in backdrop ? backdrop.picture : null;
  /** @type {Record<string, string>} */
  const wanted = { ...options, format: "psd" };
  if (backdrop && "colour" in backdrop) wanted.background = backdrop.colour;
  return fetchFile(file, wanted, guidance, key, "image/vnd.adobe.photoshop", { background: picture, signal });
}

/**
 * The matte of the whole picture as a PNG. Rejects with a `Problem`.
 * @param {File} file
 * @param {Record<string, string>} options
 * @param {Guidance | null} guidance
 * @param {string} key
 */
export function fetchMatte(file, options, guidance, key) {
  return fetchFile(file, { ...options, output: "matte" }, guidance, key, "image/png");
}

/**
 * A file from the service, which may be busy for a while. Rejects with a `Problem`, or with the
 * reason of `signal` when that ends the request.
 * @param {File} file
 * @param {Record<string, string>} options
 * @param {Guidance | null} guidance
 * @param {string} key
 * @param {string} type of the file
 * @param {{background?: Blob | null, signal?: AbortSignal}} [more] the background's picture
 * @returns {Promise<Blob>}
 */
async function fetchFile(file, options, guidance, key, type, { background = null, signal } = {}) {
  const { url, body, headers } = requestOf(file, options, key, guidance, background);
  const ask = async () => {
    const answer = await fetch(url, { method: "POST", headers: { ...headers, Accept: type }, body, signal });
    return answer.ok ? answer.blob() : problemOf(answer);
  };
  for (let left = BUSY_TRIES; ; left--) {
    signal?.throwIfAborted();
    const got = await ask().catch(() => null);
    signal?.throwIfAborted();
    if (got instanceof Blob) return got;
    const problem = got ?? (await lossOf(file));
    if (problem.type !== "overloaded" || left === 0) throw problem;
    await pause(problem.retryAfter, signal);
  }
}

/**
 * Wait, but not for longer than until `signal` is aborted.
 * @param {number} seconds
 * @param {AbortSignal} [signal]
 */
export function pause(seconds, signal) {
  return new Promise((wake) => {
    const timer = setTimeout(end, seconds * 1000);
    function end() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      wake(undefined);
    }
    signal?.addEventListener("abort", end);
  });
}

/** Why a request has come to nothing: browsers do not tell a lost connection from a lost file. @param {File} file */
async function lossOf(file) {
  const readable = await file.slice(0, 1).arrayBuffer().then(() => true, () => false); // prettier-ignore
  return new Problem(readable ? "network" : "unreadable-file");
}

/**
 * The file alone, or a form with what takes the network's place and a background.
 * @param {File} file
 * @param {Record<string, string>} options
 * @param {string} key
 * @param {Guidance | null} guidance
 * @param {Blob | null} [background] picture
 */
function requestOf(file, options, key, guidance, background = null) {
  const headers = commonHeaders(key);
  const query = new URLSearchParams(options);
  const url = () => `api/remove-bg?${query}`;
  if (!guidance && !background) {
    headers["Content-Type"] = "application/octet-stream"; // its content tells
    return { url: url(), body: file, headers };
  }
  const body = new FormData();
  body.append("image", file);
  if (background) body.append("background_image", background);
  if (!guidance) return { url: url(), body, headers };
  body.append("matte", guidance.matte);
  query.set("detail", "off"); // its edges are refined already
  query.delete("roi"); // and it is empty outside of the region
  if (guidance.strokes) {
    body.append("strokes", guidance.strokes);
    query.set("strokes_mode", guidance.mode);
  }
  return { url: url(), body, headers };
}

/**
 * The key, and the page's language for what the service says.
 * @param {string} key
 * @returns {Record<string, string>}
 */
function commonHeaders(key) {
  return { "Accept-Language": locale(), ...(key && { "X-API-Key": key }) };
}

/**
 * @param {XMLHttpRequest} request
 * @param {Record<string, string>} options that it was sent with
 */
async function readAnswer(request, options) {
  /** @type {Blob} */
  const blob = request.response;
  const header = (/** @type {string} */ name) => request.getResponseHeader(name);
  if (request.status !== 200) throw told(readProblem(request.status, await blob.text(), header));
  return readCutout(blob, options, header);
}

/** @param {Response} answer */
async function problemOf(answer) {
  return told(readProblem(answer.status, await answer.text(), (name) => answer.headers.get(name)));
}

/** @param {Problem} problem */
function told(problem) {
  if (problem.type === "unauthorized") refusals.dispatchEvent(new Event("unauthorized"));
  return problem;
}

/**
 * Ask for the stage until `signal` ends it.
 * @param {string} id
 * @param {(progress: Progress) => void} watch
 * @param {AbortSignal} signal
 */
async function poll(id, watch, signal) {
  for (;;) {
    await new Promise((wake) => setTimeout(wake, POLL_MS));
    if (signal.aborted) return;
    try {
      const answer = await fetch(`api/jobs/${id}`, { signal });
      const progress = answer.ok ? await answer.json() : null;
      if (progress && !signal.aborted) watch(progress);
    } catch {
      // Ended, or the network failed: the request itself will tell.
    }
  }
}

/** 128 random bits; `crypto.randomUUID` would need HTTPS. */
function newRequestId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
