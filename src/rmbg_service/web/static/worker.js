/**
 * The installed page's service worker. It caches nothing of the page: it takes the pictures that
 * other apps share with it, which come as a form, and leaves them where the page finds them.
 */

const SHARED = "shared";

/** @typedef {Event & {request: Request, respondWith: (answer: Promise<Response>) => void}} FetchEvent */

addEventListener("fetch", (event) => {
  const { request, respondWith } = /** @type {FetchEvent} */ (event);
  const shared = request.method === "POST" && new URL(request.url).pathname.endsWith("/share");
  if (shared) respondWith.call(event, keep(request));
});

/** @param {Request} request */
async function keep(request) {
  const files = (await request.formData()).getAll("images").filter((each) => each instanceof File);
  const cache = await caches.open(SHARED);
  for (const [place, file] of files.entries()) {
    const headers = { "Content-Type": file.type, "X-Name": encodeURIComponent(file.name) };
    await cache.put(`shared/${place}`, new Response(file, { headers })).catch(() => {}); // there is no room for it
  }
  return Response.redirect("./?shared", 303);
}
