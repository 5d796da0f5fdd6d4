/** The client of this server's API. It knows the wire; the rest of the page knows {@link StreamEvent}. */
import type { Failure, Usage } from "./conversation.ts";
import type { ChatRequest } from "./request.ts";
import { events } from "./sse.ts";

export interface Model {
  id: string;
  name: string;
}

/** What a stream says, one thing at a time. A turn that went well ends with finish and, after it, usage. */
export type StreamEvent =
  | { kind: "accepted"; resume: string; upstream: string; model: string; requestID: string }
  | { kind: "raw"; data: string } // each event as it came, before what it says
  | { kind: "text" | "reasoning" | "refusal"; text: string }
  | { kind: "call"; index: number; id?: string; name?: string; arguments?: string } // a piece of a call
  | { kind: "finish"; reason: string }
  | { kind: "usage"; usage: Usage };

/** An ApiError is a request or a stream that failed. */
export class ApiError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

const unreachable = "The server can't be reached. Is it still running?";
const broken = "The connection broke before the answer was complete.";
const early = "The answer ended before it was complete.";

function headers(key: string): Headers {
  const h = new Headers({ "Content-Type": "application/json" });
  // Without a key the server answers if it is a demo or needs none.
  if (key !== "") h.set("Authorization", "Bearer " + key);
  return h;
}

async function send(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, credentials: "omit", redirect: "error" });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError({ message: unreachable });
  }
  if (!response.ok) throw new ApiError(await failure(response));
  return response;
}

/** failure reads an error answer. Proxies before the server write others than ours. */
async function failure(response: Response): Promise<Failure> {
  const body = await response.text().catch(() => "");
  const found: Failure = { status: response.status, ...(errorIn(parse(body)) ?? { message: `The server answered with status ${response.status}.` }) };
  const requestID = response.headers.get("X-Request-Id");
  if (requestID !== null) found.requestID = requestID;
  const after = Number(response.headers.get("Retry-After") ?? NaN);
  if (Number.isFinite(after)) found.retryAfter = after;
  return found;
}

/** listModels asks for the models that can be used. base is the address of the API: "/v1", or that below a proxy's path. */
export async function listModels(base: string, key: string): Promise<Model[]> {
  const response = await send(base + "/models", { headers: headers(key) });
  const data = member(await response.json().catch(() => undefined), "data");
  if (!Array.isArray(data)) throw new ApiError({ message: "The server's list of models can't be read." });
  return data.flatMap((m: unknown) => {
    const id = member(m, "id");
    const name = member(m, "name");
    return typeof id === "string" ? [{ id, name: typeof name === "string" ? name : id }] : [];
  });
}

/**
 * streamChat sends a request and yields what comes back. It throws an ApiError, or an AbortError when the signal stops
 * it; then the connection is reset, and with it the server's run.
 */
export async function* streamChat(base: string, request: ChatRequest, key: string, signal: AbortSignal): AsyncGenerator<StreamEvent> {
  const response = await send(base + "/chat/completions", { method: "POST", headers: headers(key), body: JSON.stringify(request), signal });
  const requestID = response.headers.get("X-Request-Id") ?? "";
  const header = (name: string) => response.headers.get(name) ?? "";
  yield { kind: "accepted", resume: header("X-Composer-Resume"), upstream: header("X-Composer-Upstream"), model: header("X-Composer-Model"), requestID };
  const fail = (message: string) => new ApiError({ message, requestID });
  if (response.body === null) throw fail(early);
  try {
    for await (const data of events(response.body)) {
      yield { kind: "raw", data };
      if (data === "[DONE]") return;
      const chunk = parse(data);
      const error = errorIn(chunk);
      if (error !== undefined) throw new ApiError({ ...error, requestID });
      yield* decodeChunk(chunk);
    }
  } catch (error) {
    if (error instanceof ApiError || isAbort(error)) throw error;
    throw fail(broken);
  }
  throw fail(early);
}

/** isAbort reports whether an error is that somebody has stopped the request. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** decodeChunk is what a chat.completion.chunk says. What it doesn't know is left out: a server may be newer than its page. */
function* decodeChunk(chunk: unknown): Generator<StreamEvent> {
  const choices = member(chunk, "choices");
  const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
  const delta = member(choice, "delta");
  for (const [name, kind] of [["reasoning_content", "reasoning"], ["content", "text"], ["refusal", "refusal"]] as const) {
    const value = member(delta, name);
    if (typeof value === "string" && value !== "") yield { kind, text: value };
  }
  const calls = member(delta, "tool_calls");
  if (Array.isArray(calls)) {
    for (const call of calls) yield decodeCall(call);
  }
  const reason = member(choice, "finish_reason");
  if (typeof reason === "string") yield { kind: "finish", reason };
  const usage = member(chunk, "usage");
  if (typeof usage === "object" && usage !== null) yield { kind: "usage", usage: decodeUsage(usage, member(chunk, "usage_estimated") === true) };
}

function decodeCall(call: unknown): StreamEvent {
  const event: StreamEvent = { kind: "call", index: number(member(call, "index")) };
  const id = member(call, "id");
  const name = member(member(call, "function"), "name");
  const args = member(member(call, "function"), "arguments");
  if (typeof id === "string") event.id = id;
  if (typeof name === "string") event.name = name;
  if (typeof args === "string") event.arguments = args;
  return event;
}

function decodeUsage(usage: object, estimated: boolean): Usage {
  const cost = member(usage, "cost");
  return {
    prompt: number(member(usage, "prompt_tokens")),
    cached: number(member(member(usage, "prompt_tokens_details"), "cached_tokens")),
    completion: number(member(usage, "completion_tokens")),
    reasoning: number(member(member(usage, "completion_tokens_details"), "reasoning_tokens")),
    estimated,
    cost: typeof cost === "number" ? cost : null,
  };
}

/** errorIn is the error of an error document. */
function errorIn(doc: unknown): Failure | undefined {
  const error = member(doc, "error");
  const message = member(error, "message");
  if (typeof message !== "string") return undefined;
  const code = member(error, "code");
  return typeof code === "string" ? { message, code } : { message };
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

function number(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}
