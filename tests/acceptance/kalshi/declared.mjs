// The SDK checks nothing at run time. Its sources declare every answer's fields, so the test checks them in its place.
import { readFileSync, readdirSync } from "node:fs";
import { sources } from "./sdk.mjs";

const interfaces = new Map();
const enumerations = new Map();
const answers = new Map();

for (const file of readdirSync(`${sources}/models`)) {
  const text = readFileSync(`${sources}/models/${file}`, "utf8");
  for (const [, name, body] of text.matchAll(/export interface (\w+) \{\n([\s\S]*?)\n\}/g)) {
    const fields = [...body.matchAll(/^ {4}'([^']+)'(\?)?: (.+);$/gm)];
    interfaces.set(name, fields.map(([, field, optional, type]) => ({ field, type, isOptional: Boolean(optional) })));
  }
  for (const [, name, body] of text.matchAll(/export const (\w+) = \{\n([\s\S]*?)\n\} as const/g)) {
    enumerations.set(name, [...body.matchAll(/: (?:'(.*)'|(\d+)),?$/gm)].map(([, text, number]) => text ?? number));
  }
}
for (const file of readdirSync(`${sources}/api`)) {
  const text = readFileSync(`${sources}/api/${file}`, "utf8");
  for (const [, name, type] of text.matchAll(/async (\w+)\(.*=> AxiosPromise<(.+)>> \{$/gm)) answers.set(name, type);
}

/** Where the body of a call's answer is not what the SDK declares: a list of words, empty when it fits. */
export function misfits(call, body) {
  const type = answers.get(call);
  if (type === undefined) throw new Error(`the SDK declares no answer of ${call}`);
  if (type === "void") return body === "" || body == null ? [] : [`a body where none is declared`];
  return check(type, body, "");
}

function check(type, value, path) {
  if (type.endsWith(" | null")) return value === null ? [] : check(type.slice(0, -7), value, path);
  const list = /^Array<(.+)>$/.exec(type);
  if (list) {
    if (!Array.isArray(value)) return [wrong(path, type, value)];
    return value.flatMap((item, index) => check(list[1], item, `${path}[${index}]`));
  }
  const map = /^\{ \[key: string\]: (.+); \}$/.exec(type);
  if (map) {
    if (!isObject(value)) return [wrong(path, type, value)];
    return Object.entries(value).flatMap(([key, item]) => check(map[1], item, `${path}.${key}`));
  }
  if (interfaces.has(type)) {
    return isObject(value) ? checkFields(interfaces.get(type), value, path) : [wrong(path, type, value)];
  }
  if (enumerations.has(type)) {
    return enumerations.get(type).includes(String(value)) ? [] : [wrong(path, type, value)];
  }
  if (["string", "number", "boolean"].includes(type)) return typeof value === type ? [] : [wrong(path, type, value)];
  if (type === "object") return isObject(value) ? [] : [wrong(path, type, value)];
  if (type === "any") return [];
  throw new Error(`a type that is not read yet: ${type}`);
}

function checkFields(fields, value, path) {
  return fields.flatMap(({ field, type, isOptional }) => {
    if (value[field] === undefined) return isOptional ? [] : [`${path}.${field} is missing`];
    // Optional fields may be null too: the OpenAPI document says so and the SDK's generator drops it.
    if (value[field] === null && isOptional) return [];
    return check(type, value[field], `${path}.${field}`);
  });
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wrong(path, type, value) {
  return `${path} is ${JSON.stringify(value)?.slice(0, 60)}, declared ${type}`;
}
