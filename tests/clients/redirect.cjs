// What the client sends to api.remove.bg goes to the server under test; its own code stays as it is.
const http = require("http");
const https = require("https");

const target = new URL(process.env.REMOVEBG_URL);

https.request = (options, callback) => {
  if (options.host !== "api.remove.bg") throw new Error(`a request to ${options.host}`);
  const { agent, agents, ...rest } = options;
  const { hostname, port } = target;
  return http.request({ ...rest, protocol: "http:", host: hostname, hostname, port }, callback);
};
