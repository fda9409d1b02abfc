/** Pictures that another app has shared with the installed page: the worker has kept them. */

/**
 * Start the worker where the browser has workers: over HTTPS and on localhost.
 * @returns {Promise<File[] | null>} what was shared; null if the page was not opened for that
 */
export async function startSharing() {
  if (!("serviceWorker" in navigator)) return null;
  navigator.serviceWorker.register("worker.js").catch(() => {}); // refused in private windows
  if (!location.search.includes("shared")) return null;
  history.replaceState(null, "", location.pathname); // a reload brings nothing again
  const cache = await caches.open("shared");
  const files = [];
  for (const request of await cache.keys()) {
    const kept = await cache.match(request);
    await cache.delete(request);
    if (!kept) continue;
    const [blob, name] = [await kept.blob(), decodeURIComponent(kept.headers.get("X-Name") ?? "")];
    files.push(new File([blob], name, { type: blob.type }));
  }
  return files;
}
