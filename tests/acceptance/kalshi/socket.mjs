// The SDK has no stream. A plain WebSocket client with the SDK's signature on the upgrade stands in.
import { KalshiAuth, WebSocket, eventually, stage } from "./sdk.mjs";

const PATH = "/trade-api/ws/v2";

/** An open, signed socket; `frames` holds what came, in order. */
export async function openSocket(key) {
  const headers = new KalshiAuth(key.key_id, key.private_key_pem).generateAuthHeaders("GET", PATH);
  const connection = new WebSocket(stage.kalshi_socket, { headers });
  const frames = [];
  connection.on("message", (data) => frames.push(JSON.parse(data)));
  await new Promise((resolve, reject) => {
    connection.once("open", resolve);
    connection.once("error", reject);
  });
  let number = 0;
  return {
    frames,
    close: () => connection.terminate(),
    /** Send a command and wait for `count` answers to it. */
    async command(cmd, params, count = 1) {
      const id = ++number;
      connection.send(JSON.stringify({ id, cmd, params }));
      await eventually(`${count} answers to ${cmd}`, () => frames.filter((frame) => frame.id === id).length >= count);
      return frames.filter((frame) => frame.id === id);
    },
    /** The first frame of a type that fits, waiting for it. */
    frame(type, fits = () => true) {
      return eventually(`${type} frame`, () => frames.find((frame) => frame.type === type && fits(frame.msg)));
    },
  };
}

/** How an unsigned upgrade is refused: the HTTP status. */
export function unsignedUpgrade() {
  return new Promise((resolve, reject) => {
    const connection = new WebSocket(stage.kalshi_socket);
    connection.once("unexpected-response", (request, response) => {
      resolve(response.statusCode);
      connection.terminate();
    });
    connection.once("open", () => reject(new Error("an unsigned upgrade was accepted")));
    connection.once("error", () => {});
  });
}
