/**
 * Conversations as a file. What is read may come from anybody, so every value is checked and unknown ones are left out;
 * a file so can't bring the page a value that it doesn't expect.
 */
import {
  type AnswerNode, type AnswerState, type Conversation, type Facts, type Failure, type HandTool, type Node, type Part, type ResultSource, type Settings,
  type ToolCall, type ToolResult, type Usage, defaultSettings, interrupted, newID,
} from "./conversation.ts";

const format = "composer-api conversations";
const version = 1;

export function exportConversations(conversations: Conversation[]): string {
  // An answer that is on its way is complete in no file.
  return JSON.stringify({ format, version, conversations: conversations.map(interrupted) }, null, 2) + "\n";
}

/** importConversations reads a file. Everything gets new ids, so nothing that is there is overwritten. It throws sentences for the person. */
export function importConversations(json: string): Conversation[] {
  let file: unknown;
  try {
    file = JSON.parse(json);
  } catch {
    throw new Error("The file is not JSON.");
  }
  const f = object(file, "the file");
  if (f["format"] !== format) throw new Error("The file does not hold conversations of this playground.");
  if (f["version"] !== version) throw new Error("The file was written by another version of the playground.");
  return list(f["conversations"], "conversations").map(conversation);
}

type Fields = Record<string, unknown>;

function wrong(what: string): Error {
  return new Error(`The file can't be imported: ${what} is not as expected.`);
}

function object(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(what);
  return value as Fields;
}

function list(value: unknown, what: string): unknown[] {
  if (!Array.isArray(value)) throw wrong(what);
  return value;
}

function string(value: unknown, what: string): string {
  if (typeof value !== "string") throw wrong(what);
  return value;
}

function number(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(what);
  return value;
}

function oneOf<T extends string>(value: unknown, of: readonly T[], what: string): T {
  const found = of.find((v) => v === value);
  if (found === undefined) throw wrong(what);
  return found;
}

/** defined takes the members away that are undefined. */
function defined<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, v]) => v !== undefined)) as T;
}

/** maybe reads a member that may be missing. */
function maybe<T>(value: unknown, what: string, read: (value: unknown, what: string) => T): T | undefined {
  return value === undefined ? undefined : read(value, what);
}

function conversation(value: unknown): Conversation {
  const c = object(value, "a conversation");
  const ids = new Map<string, string>(); // old to new
  const nodes: Record<string, Node> = {};
  for (const [, value] of Object.entries(object(c["nodes"], "the messages"))) {
    const n = object(value, "a message");
    // Its parent must have come before it. So there are no circles.
    const parent = n["parent"] === null ? null : ids.get(string(n["parent"], "a message's parent"));
    if (parent === undefined) throw wrong("a message's parent");
    const made = node(n, newID(), parent);
    ids.set(string(n["id"], "a message's id"), made.id);
    nodes[made.id] = made;
  }
  const leaf = c["leaf"] === null ? null : ids.get(string(c["leaf"], "the current message"));
  if (leaf === undefined) throw wrong("the current message");
  return interrupted({
    id: newID(), title: string(c["title"], "a title"), created: number(c["created"], "a time"), updated: number(c["updated"], "a time"),
    settings: settings(c["settings"]), leaf, nodes,
  });
}

function node(n: Fields, id: string, parent: string | null): Node {
  const created = number(n["created"], "a time");
  switch (n["kind"]) {
    case "user":
      return { kind: "user", id, parent, created, parts: list(n["parts"], "a message's parts").map(part) };
    case "answer":
      return answer(n, id, parent, created);
  }
  throw wrong("a message's kind");
}

function answer(n: Fields, id: string, parent: string | null, created: number): AnswerNode {
  const text = (name: string) => string(n[name], `an answer's ${name}`);
  const found: AnswerNode = {
    kind: "answer", id, parent, created, state: oneOf<AnswerState>(n["state"], ["streaming", "done", "stopped", "failed"], "an answer's state"),
    text: text("text"), reasoning: text("reasoning"), refusal: text("refusal"), calls: list(n["calls"], "an answer's calls").map(call),
    results: Object.fromEntries(Object.entries(object(n["results"], "an answer's results")).map(([id, r]) => [id, result(r)])),
    facts: facts(n["facts"]), settings: settings(n["settings"]),
  };
  const failed = maybe(n["failure"], "an error", failure);
  return failed === undefined ? found : { ...found, failure: failed };
}

/** An image's address is data of an image that browsers can't be tricked with, or an address of the web. */
export const imageURL = /^(data:image\/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]*|https?:\/\/\S+)$/;

function part(value: unknown): Part {
  const p = object(value, "a part of a message");
  if (p["type"] === "text") return { type: "text", text: string(p["text"], "a text") };
  const url = string(p["url"], "an image");
  if (p["type"] !== "image" || !imageURL.test(url)) throw wrong("an image");
  return { type: "image", url };
}

function call(value: unknown): ToolCall {
  const c = object(value, "a call");
  return { id: string(c["id"], "a call's id"), name: string(c["name"], "a call's name"), arguments: string(c["arguments"], "a call's arguments") };
}

function result(value: unknown): ToolResult {
  const r = object(value, "a result");
  return { content: string(r["content"], "a result"), by: oneOf<ResultSource>(r["by"], ["page", "person", "skipped"], "a result's source") };
}

function failure(value: unknown): Failure {
  const f = object(value, "an error");
  return defined<Failure>({
    message: string(f["message"], "an error's message"), status: maybe(f["status"], "a status", number), code: maybe(f["code"], "a code", string),
    requestID: maybe(f["requestID"], "a request id", string), retryAfter: maybe(f["retryAfter"], "a time", number),
  });
}

function facts(value: unknown): Facts {
  const f = object(value, "an answer's figures");
  const text = (name: string) => maybe(f[name], `an answer's ${name}`, string);
  return defined<Facts>({
    firstToken: maybe(f["firstToken"], "a time", number), duration: maybe(f["duration"], "a time", number), usage: maybe(f["usage"], "the usage", usage),
    resume: text("resume"), upstream: text("upstream"), model: text("model"), requestID: text("requestID"), finish: text("finish"),
  });
}

function usage(value: unknown): Usage {
  const u = object(value, "the usage");
  const count = (name: string) => number(u[name], "a number of tokens");
  return {
    prompt: count("prompt"), cached: count("cached"), completion: count("completion"), reasoning: count("reasoning"),
    estimated: u["estimated"] === true, cost: u["cost"] === null ? null : number(u["cost"], "a cost"),
  };
}

function settings(value: unknown): Settings {
  const s = object(value, "the settings");
  const strings = (name: keyof Settings) => list(s[name], name).map((v) => string(v, name));
  return {
    ...defaultSettings,
    model: string(s["model"], "the model"), system: string(s["system"], "the system text"),
    maxTokens: s["maxTokens"] === null ? null : number(s["maxTokens"], "the limit of tokens"), stop: strings("stop"),
    schema: string(s["schema"], "the schema"), pageTools: strings("pageTools"), handTools: list(s["handTools"], "the tools").map(handTool), parallel: s["parallel"] !== false,
  };
}

function handTool(value: unknown): HandTool {
  const t = object(value, "a tool");
  return { name: string(t["name"], "a tool's name"), description: string(t["description"], "a tool's text"), parameters: string(t["parameters"], "a tool's parameters") };
}
