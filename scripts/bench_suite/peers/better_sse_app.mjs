// better-sse: one channel, fed by POST /publish. Arguments: the directory of node_modules, a port.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const [modules, port] = process.argv.slice(2);
const { createChannel, createSession } = createRequire(`${modules}/`)("better-sse");
const channel = createChannel();

createServer((request, response) => {
  if (request.method === "GET") {
    createSession(request, response).then((session) => channel.register(session));
    return;
  }
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    channel.broadcast(Buffer.concat(parts).toString(), "message");
    response.writeHead(200, { "Content-Length": 2 });
    response.end("ok");
  });
}).listen(Number(port), "127.0.0.1", 4096);
