// The official SDK as installed, pointed at the sandbox; everything it sends is noted.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

export const stage = JSON.parse(readFileSync(process.env.CROSSBOOK_STAGE, "utf8"));
const installed = createRequire(`${stage.node}/package.json`);
export const sdk = installed("kalshi-typescript");
export const WebSocket = installed("ws");
export const { KalshiAuth } = installed("kalshi-typescript/dist/auth");
export const sources = `${stage.node}/node_modules/kalshi-typescript`;
const axios = installed("axios");

// The SDK's errors carry whole sockets; the venue's answer is what helps.
process.on("uncaughtException", (error) => {
  const { config, response } = error;
  const answered = response && `${config.method} ${config.url}: ${response.status} ${JSON.stringify(response.data)}`;
  process.stderr.write(`${answered ?? ""}\n${error.stack}\n`);
  process.exit(1);
});

/** One JSON line for the test. */
export function say(line) {
  process.stdout.write(JSON.stringify(line) + "\n");
}

/** Every API class of the SDK for one key, under its class name; `sent` holds the last request and its answer. */
export function clients(key) {
  const sent = {};
  const transport = axios.create();
  transport.interceptors.response.use(
    (answer) => note(sent, answer.config, answer),
    (error) => {
      if (error.response) note(sent, error.config, error.response);
      throw error;
    },
  );
  const configuration = new sdk.Configuration({
    apiKey: key.key_id,
    privateKeyPem: key.private_key_pem,
    basePath: stage.kalshi,
  });
  const apis = { sent };
  for (const name of apiNames()) apis[name] = new sdk[name](configuration, undefined, transport);
  return apis;
}

/** The names of the SDK's API classes. */
export function apiNames() {
  return Object.keys(sdk).filter((name) => /Api$/.test(name) && typeof sdk[name] === "function").sort();
}

/** The names of a class's calls. */
export function callNames(apiName) {
  return Object.getOwnPropertyNames(sdk[apiName].prototype).filter((name) => name !== "constructor").sort();
}

/** What an error of the SDK carries: status and the venue's body. */
export function refusal(error) {
  if (!error.response) throw error;
  return { status: error.response.status, body: error.response.data };
}

/** Do something on the sandbox's admin port. */
export async function admin(method, path, body) {
  const answer = await fetch(stage.admin + path, {
    method,
    headers: { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path} on the admin port: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

/** Ask until the answer is something, at most ten seconds: reads and frames may lag behind what was done. */
export async function eventually(what, ask) {
  const end = Date.now() + 10_000;
  for (;;) {
    const found = await ask();
    if (found) return found;
    if (Date.now() > end) throw new Error(`within ten seconds there was no ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function note(sent, config, answer) {
  sent.method = config.method.toUpperCase();
  sent.path = new URL(config.url).pathname;
  sent.status = answer.status;
  sent.body = answer.data;
  return answer;
}
