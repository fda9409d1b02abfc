// Removes a background by each form of the request, through the client that openapi-typescript and
// openapi-fetch make. The arguments are the server and an image as base64; prints what came back.
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

declare const process: { argv: string[] };

const [, , url = "", image = ""] = process.argv;
const client = createClient<paths, "application/json">({ baseUrl: url });
const bytes = Uint8Array.from(atob(image), (letter) => letter.charCodeAt(0));

// openapi-typescript takes a file for text.
const file = new Blob([bytes], { type: "image/png" }) as unknown as string;

const json = await client.POST("/api/remove-bg", { body: { image, format: "jpg" } });

const multipart = await client.POST("/api/remove-bg", {
  body: { image: file, format: "jpeg", crop: true },
  params: { query: { format: "jpg", crop: true } },
  bodySerializer: (fields) => {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value as string | Blob);
    return form;
  },
});

const raw = await client.POST("/api/remove-bg", {
  params: { query: { format: "webp", max_side: 32 } },
  headers: { "Content-Type": "application/octet-stream" },
  body: file,
  bodySerializer: (body) => body,
});

const picture = await client.POST("/api/remove-bg", {
  headers: { Accept: "image/png" },
  body: { image },
  parseAs: "arrayBuffer",
});
const png = new Uint8Array(picture.data ?? new ArrayBuffer(0));

const wrong = await client.POST("/api/remove-bg", { body: { image, margin: "5px" } });

console.log(
  JSON.stringify({
    json: json.data,
    multipart: multipart.data,
    raw: raw.data,
    picture: btoa(String.fromCharCode(...png)),
    problem: wrong.error,
  }),
);
