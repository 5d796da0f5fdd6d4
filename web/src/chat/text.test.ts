import assert from "node:assert/strict";
import { test } from "node:test";
import { nextChunk } from "./announce.ts";
import { dollars, pretty, seconds, speed } from "./format.ts";
import { check } from "./schema.ts";
import { showAs } from "./showas.ts";
import type { ChatRequest } from "./request.ts";
import { clock, pageTool, run, samePage } from "./tools.ts";

test("a voice gets whole sentences, and the rest at the end", () => {
  const text = "First one. Second, with **3.5** marks";
  const first = nextChunk(text, 0, false);
  assert.deepEqual(first, { chunk: "First one.", said: 10 });
  assert.deepEqual(nextChunk(text, first.said, false), { chunk: "", said: 10 });
  assert.deepEqual(nextChunk(text, first.said, true), { chunk: "Second, with 3.5 marks", said: text.length });
  assert.equal(nextChunk("word ".repeat(200), 0, false).said, 400, "what never ends is told all the same");
});

test("numbers as people read them", () => {
  assert.deepEqual([0, 640.4, 994, 995, 2340, 9960, 75_000].map(seconds), ["0 ms", "640 ms", "994 ms", "1.0 s", "2.3 s", "10 s", "75 s"]);
  assert.deepEqual([0, 0.0009, 0.000123456, 0.5, 1.239].map(dollars), ["$0", "$0.0009", "$0.000123", "$0.5", "$1.24"]);
  const usage = { prompt: 0, cached: 0, completion: 50, reasoning: 0, estimated: false, cost: null };
  assert.equal(speed({ firstToken: 500, duration: 1500, usage }), 50);
  assert.equal(speed({ firstToken: 500, duration: 501, usage }), undefined);
  assert.equal(pretty('{"a":1}'), '{\n  "a": 1\n}');
  assert.equal(pretty("{"), "{");
});

test("an answer is checked against its schema", () => {
  const schema = '{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}';
  assert.deepEqual(check(schema, '{"n":1}'), { ok: true, value: { n: 1 } });
  const problems = (text: string, of = schema) => {
    const verdict = check(of, text);
    return verdict.ok ? [] : verdict.problems;
  };
  assert.match(problems('{"n":"x"}')[0]!, /^\/n: .*integer/);
  assert.match(problems("{}")[0]!, /required/);
  assert.deepEqual(problems("no"), ["The answer is not JSON."]);
  assert.deepEqual(problems("{}", "7"), ["The schema is not a JSON object."]);
});

const request: ChatRequest = {
  model: "m", messages: [{ role: "user", content: [{ type: "text", text: 'it\'s "1"\n' }, { type: "image_url", image_url: { url: "data:image/png;base64," + "A".repeat(500) } }] }],
  stream: true, stream_options: { include_usage: true }, tools: [], parallel_tool_calls: false,
};

test("code quotes what was said and reads the key from the environment", () => {
  const curl = showAs("curl", request, "http://h/v1", false);
  assert.match(curl, /^curl -N 'http:\/\/h\/v1\/chat\/completions'/);
  assert.match(curl, /it'\\''s/);
  assert.match(curl, /\$COMPOSER_API_KEY/);
  const python = showAs("python", request, "http://h/v1", false);
  assert.match(python, /parallel_tool_calls=False,/);
  assert.match(python, /"text": "it's \\"1\\"\\n",/);
  assert.match(python, /tools=\[\],/);
  const typescript = showAs("typescript", request, "http://h/v1", true);
  assert.match(typescript, /baseURL: "http:\/\/h\/v1"/);
  assert.ok(!typescript.includes("AAAA".repeat(50)), "image data is shortened");
  assert.ok(showAs("typescript", request, "http://h/v1", false).includes("A".repeat(500)));
});

test("the page's tools answer, and never throw", async () => {
  const call = (name: string, args: string) => run(pageTool(name)!, { id: "", name, arguments: args }, { root: "", signal: new AbortController().signal });
  assert.equal(await call("calculator", '{"expression":"6*7"}'), "42");
  assert.match(await call("calculator", "{}"), /^Error: 'expression'/);
  assert.match(await call("calculator", "["), /^Error: /);
  assert.match(await call("calculator", "[]"), /^Error: The arguments/);
  assert.match(await call("clock", '{"time_zone":"Nowhere/Here"}'), /^Error: /);
  assert.match(clock(new Date(0), "Europe/Berlin"), /Thursday.*1970.*01:00:00.*Europe\/Berlin.*1970-01-01T00:00:00/);
});

test("only pages of this server are fetched", () => {
  assert.equal(samePage("/docs?x=1", "http://h:1", "").href, "http://h:1/docs?x=1");
  assert.equal(samePage("/docs", "http://h:1", "/below").href, "http://h:1/below/docs");
  for (const path of ["//evil.test/x", "http://evil.test/", "docs", "/\\evil.test", 7, undefined]) assert.throws(() => samePage(path, "http://h:1", ""), String(path));
  assert.throws(() => samePage("/../other", "http://h:1", "/below"));
});
