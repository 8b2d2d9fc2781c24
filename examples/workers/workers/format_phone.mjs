// format-phone: a phone number as people read it. Node alone, no library.
//
//     node workers/format_phone.mjs 9002
import { createServer } from "node:http";

const port = Number(process.argv[2]);
const json = { "content-type": "application/json", "beltline-worker": "format-phone 1.0" };

// data.key is the same for every attempt: pass it on where the other system takes one.
function formatPhone({ phone }) {
  const digits = String(phone ?? "").replace(/\D/g, "");
  if (digits.length !== 11) return { reject: { reason: `${phone} is no phone number` } };
  const [, country, area, a, b, c] = /^(.)(...)(...)(..)(..)$/.exec(digits);
  return { result: { text: `+${country} ${area} ${a}-${b}-${c}` } };
}

const server = createServer(async (request, response) => {
  let body = "";
  for await (const part of request.setEncoding("utf8")) body += part;
  if (request.method !== "POST") return response.writeHead(200, json).end('{"status":"ok"}');
  const { data } = JSON.parse(body); // a CloudEvent; data.module says which module is meant
  if (data.module !== "format-phone@1") return response.writeHead(404, json).end();
  try {
    response.writeHead(200, json).end(JSON.stringify(formatPhone(data.input)));
  } catch (error) {
    response.writeHead(500, { "content-type": "text/plain" }).end(String(error)); // tried again
  }
});
server.listen(port, "127.0.0.1");
process.on("SIGTERM", () => server.close()); // answers what is under way, and ends
