import assert from "node:assert/strict";
import { test } from "node:test";
import { type AnswerNode, type Node, type Settings, defaultSettings } from "./conversation.ts";
import { SettingsError, buildRequest } from "./request.ts";

const settings = (more: Partial<Settings>): Settings => ({ ...defaultSettings, model: "composer-2.5", ...more });
const user = (...parts: (string | { url: string })[]): Node => ({
  kind: "user", id: "u", parent: null, created: 0, parts: parts.map((p) => (typeof p === "string" ? { type: "text", text: p } : { type: "image", url: p.url })),
});
const answer = (more: Partial<AnswerNode>): Node => ({
  kind: "answer", id: "a", parent: "u", created: 0, state: "done", text: "", reasoning: "", refusal: "", calls: [], results: {}, facts: {}, settings: defaultSettings, ...more,
});

test("a plain request asks for a stream with its usage and for nothing that was not set", () => {
  assert.deepEqual(buildRequest(settings({}), [user("hi")]), {
    model: "composer-2.5", messages: [{ role: "user", content: "hi" }], stream: true, stream_options: { include_usage: true },
  });
});

test("every setting is in the request", () => {
  const request = buildRequest(settings({ system: "Be brief.", maxTokens: 9, stop: ["END"], schema: '{"type":"object"}', pageTools: ["clock"], handTools: [{ name: "weather", description: "d", parameters: "" }], parallel: false }), [user("hi")]);
  assert.deepEqual(request.messages[0], { role: "system", content: "Be brief." });
  assert.equal(request.max_completion_tokens, 9);
  assert.deepEqual(request.stop, ["END"]);
  assert.deepEqual(request.response_format, { type: "json_schema", json_schema: { name: "answer", strict: true, schema: { type: "object" } } });
  assert.deepEqual(request.tools?.map((t) => t.function.name), ["clock", "weather"]);
  assert.deepEqual(request.tools?.[1]?.function.parameters, { type: "object", properties: {} });
  assert.equal(request.parallel_tool_calls, false);
});

test("images go as parts", () => {
  assert.deepEqual(buildRequest(settings({}), [user("look", { url: "data:image/png;base64,AA==" })]).messages, [
    { role: "user", content: [{ type: "text", text: "look" }, { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } }] },
  ]);
});

test("every call has a result, and an answer without words is left out", () => {
  const calls = [{ id: "c1", name: "clock", arguments: "{}" }, { id: "c2", name: "weather", arguments: '{"a":1}' }];
  const path = [user("hi"), answer({ state: "failed" }), user("again"), answer({ calls, results: { c1: { content: "noon", by: "page" } } })];
  assert.deepEqual(buildRequest(settings({}), path).messages, [
    { role: "user", content: "hi" },
    { role: "user", content: "again" },
    {
      role: "assistant", content: null,
      tool_calls: [
        { id: "c1", type: "function", function: { name: "clock", arguments: "{}" } },
        { id: "c2", type: "function", function: { name: "weather", arguments: '{"a":1}' } },
      ],
    },
    { role: "tool", tool_call_id: "c1", content: "noon" },
    { role: "tool", tool_call_id: "c2", content: "The user did not run this tool." },
  ]);
});

test("what can't be sent is refused with the setting's name", () => {
  for (const [field, wrong] of [["schema", { schema: "{" }], ["schema", { schema: "[]" }], ["handTools", { handTools: [{ name: "t", description: "", parameters: "7" }] }]] as const) {
    assert.throws(() => buildRequest(settings(wrong as Partial<Settings>), [user("hi")]), (e) => e instanceof SettingsError && e.field === field);
  }
});
