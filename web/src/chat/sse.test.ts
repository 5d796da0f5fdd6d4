import assert from "node:assert/strict";
import { test } from "node:test";
import { SSEParser, events } from "./sse.ts";

const stream = ": a comment\n\ndata: {\"a\":1}\n\nevent: x\r\ndata: one\r\ndata: two\r\n\r\ndata:no space\n\nid: 7\n\ndata\n\ndata: left";
const want = ['{"a":1}', "one\ntwo", "no space", ""];

test("a stream is the same however it is cut", () => {
  for (let size = 1; size <= stream.length; size++) {
    const parser = new SSEParser();
    const got: string[] = [];
    for (let at = 0; at < stream.length; at += size) got.push(...parser.push(stream.slice(at, at + size)));
    assert.deepEqual(got, want, `in pieces of ${size}`);
  }
});

test("an event without an end is no event, and one without bounds is refused", () => {
  const parser = new SSEParser();
  assert.deepEqual(parser.push("data: half"), []);
  assert.throws(() => {
    for (let i = 0; i < 20; i++) parser.push("x".repeat(1 << 20));
  }, /too long/);
});

test("a character of several bytes may be cut, and whoever leaves the loop cancels the body", async () => {
  const bytes = new TextEncoder().encode("data: héllo\n\ndata: 2\n\n");
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start(c) {
      c.enqueue(bytes.slice(0, 8)); // in the middle of é
      c.enqueue(bytes.slice(8));
    },
    cancel() {
      cancelled = true;
    },
  });
  for await (const data of events(body)) {
    assert.equal(data, "héllo");
    break;
  }
  assert.ok(cancelled);
});
