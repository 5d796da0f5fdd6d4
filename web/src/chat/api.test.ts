import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { ApiError, type StreamEvent, listModels, streamChat } from "./api.ts";
import type { ChatRequest } from "./request.ts";

const request: ChatRequest = { model: "m", messages: [], stream: true, stream_options: { include_usage: true } };
const realFetch = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = realFetch;
});

/** serve answers every request with what answer makes of it. */
function serve(answer: (url: string, init: RequestInit) => Response): void {
  globalThis.fetch = async (url, init) => answer(String(url), init ?? {});
}

async function collect(): Promise<Exclude<StreamEvent, { kind: "raw" }>[]> {
  const found: Exclude<StreamEvent, { kind: "raw" }>[] = [];
  for await (const event of streamChat("/below/v1", request, "key", new AbortController().signal)) {
    if (event.kind !== "raw") found.push(event);
  }
  return found;
}

const chunk = (delta: object, finish: string | null = null) => `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;

test("a stream says its headers, its words, its calls and its usage", async () => {
  serve((url, init) => {
    assert.equal(url, "/below/v1/chat/completions");
    assert.equal(new Headers(init.headers).get("Authorization"), "Bearer key");
    const usage = { prompt_tokens: 5, prompt_tokens_details: { cached_tokens: 2 }, completion_tokens: 3, completion_tokens_details: { reasoning_tokens: 1 }, cost: 0.01 };
    return new Response(
      chunk({ role: "assistant", content: "" }) + chunk({ reasoning_content: "hm" }) + chunk({ content: "Hi" }) +
        chunk({ tool_calls: [{ index: 0, id: "c1", type: "function", function: { name: "f", arguments: "" } }] }) + chunk({ tool_calls: [{ index: 0, function: { arguments: "{}" } }] }) +
        chunk({}, "tool_calls") + `data: ${JSON.stringify({ choices: [], usage, usage_estimated: true })}\n\ndata: [DONE]\n\n`,
      { headers: { "X-Composer-Resume": "new", "X-Composer-Upstream": "demo", "X-Composer-Model": "m;fast=false", "X-Request-Id": "req_1" } },
    );
  });
  assert.deepEqual(await collect(), [
    { kind: "accepted", resume: "new", upstream: "demo", model: "m;fast=false", requestID: "req_1" },
    { kind: "reasoning", text: "hm" },
    { kind: "text", text: "Hi" },
    { kind: "call", index: 0, id: "c1", name: "f", arguments: "" },
    { kind: "call", index: 0, arguments: "{}" },
    { kind: "finish", reason: "tool_calls" },
    { kind: "usage", usage: { prompt: 5, cached: 2, completion: 3, reasoning: 1, estimated: true, cost: 0.01 } },
  ]);
});

test("failures are told as the server says them, or in our words", async () => {
  const cases: [Response | Error, object][] = [
    [
      new Response('{"error":{"message":"Slow down.","code":"rate_limit_exceeded"}}', { status: 429, headers: { "X-Request-Id": "req_2", "Retry-After": "10" } }),
      { message: "Slow down.", code: "rate_limit_exceeded", status: 429, requestID: "req_2", retryAfter: 10 },
    ],
    [new Response("<html>", { status: 502 }), { message: "The server answered with status 502.", status: 502 }],
    [new Response(chunk({ content: "a" }) + 'data: {"error":{"message":"Ouch.","code":null}}\n\n', { headers: { "X-Request-Id": "req_3" } }), { message: "Ouch.", requestID: "req_3" }],
    [new Response(chunk({ content: "a" })), { message: "The answer ended before it was complete.", requestID: "" }],
    [new TypeError("network"), { message: "The server can't be reached. Is it still running?" }],
  ];
  for (const [answer, want] of cases) {
    serve(() => {
      if (answer instanceof Error) throw answer;
      return answer;
    });
    await assert.rejects(collect(), (e) => {
      assert.ok(e instanceof ApiError);
      assert.deepEqual(e.failure, want);
      return true;
    });
  }
});

test("models are listed, and without a key none is sent", async () => {
  serve((_, init) => {
    assert.equal(new Headers(init.headers).get("Authorization"), null);
    return Response.json({ data: [{ id: "a", name: "A" }, { id: "b" }, { odd: 1 }, null] });
  });
  assert.deepEqual(await listModels("/v1", ""), [{ id: "a", name: "A" }, { id: "b", name: "b" }]);
});
