// Calls one function of npm's remove.bg with the options in the first argument; prints what it gives.
const client = require("remove.bg");

const { call, ...options } = JSON.parse(process.argv[2]);
client[call](options).then(
  (result) => console.log(JSON.stringify({ result })),
  (errors) => console.log(JSON.stringify({ errors })),
);
