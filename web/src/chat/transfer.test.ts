import assert from "node:assert/strict";
import { test } from "node:test";
import { type AnswerNode, type Conversation, append, defaultSettings, newConversation, path } from "./conversation.ts";
import { exportConversations, importConversations } from "./transfer.ts";

const answer: AnswerNode = {
  kind: "answer", id: "a", parent: "u", created: 2, state: "done", text: "<b>", reasoning: "r", refusal: "", calls: [{ id: "c", name: "n", arguments: "{}" }],
  results: { c: { content: "x", by: "person" } }, failure: { message: "m", status: 500 }, settings: { ...defaultSettings, maxTokens: 3 },
  facts: { firstToken: 1, usage: { prompt: 1, cached: 0, completion: 2, reasoning: 0, estimated: false, cost: null }, requestID: "req_1" },
};

function example(): Conversation {
  const c = append(newConversation({ ...defaultSettings, stop: ["x"] }, 5), {
    kind: "user", id: "u", parent: null, created: 1, parts: [{ type: "text", text: "hi" }, { type: "image", url: "data:image/png;base64,AA==" }],
  });
  return append(c, answer);
}

/** without takes the ids away, which an import makes anew. */
function without(c: Conversation): unknown {
  return { ...c, id: 0, leaf: path(c).length, nodes: path(c).map((n) => ({ ...n, id: 0, parent: 0 })) };
}

test("what was exported comes back, with ids of its own", () => {
  const c = example();
  const [back] = importConversations(exportConversations([c]));
  assert.ok(back);
  assert.deepEqual(without(back), without(c));
  assert.notEqual(back.id, c.id);
});

test("an answer on its way is exported as one that was cut off", () => {
  const c = append(example(), { ...answer, id: "b", state: "streaming" });
  const node = path(importConversations(exportConversations([c]))[0]!).at(-1) as AnswerNode;
  assert.equal(node.state, "failed");
});

test("a file that is none of ours is refused in a sentence", () => {
  const broken = (change: (c: any) => void) => {
    const file = JSON.parse(exportConversations([example()]));
    change(file.conversations[0]);
    return JSON.stringify(file);
  };
  const cases: [string, RegExp][] = [
    ["{", /not JSON/], ["[]", /the file is not/], ["{}", /does not hold conversations/],
    [JSON.stringify({ format: "composer-api conversations", version: 9, conversations: [] }), /another version/],
    [broken((c) => (c.title = 7)), /a title/],
    [broken((c) => (c.leaf = "nowhere")), /current message/],
    [broken((c) => (c.nodes.u.parent = "a")), /parent/], // a circle
    [broken((c) => (c.nodes.u.parts[1].url = "javascript:alert(1)")), /an image/],
    [broken((c) => (c.nodes.u.parts[1].url = "data:image/svg+xml;base64,AA==")), /an image/],
    [broken((c) => (c.nodes.a.state = "odd")), /state/],
    [broken((c) => (c.nodes.a.kind = "odd")), /kind/],
    [broken((c) => (c.nodes.a.facts.usage.prompt = "many")), /tokens/],
    [broken((c) => delete c.settings.handTools), /tools/],
  ];
  for (const [json, message] of cases) assert.throws(() => importConversations(json), message, json);
});

test("a member that nobody knows is left out", () => {
  const file = JSON.parse(exportConversations([example()]));
  file.conversations[0].nodes.a.innerHTML = "<script>";
  file.conversations[0].__proto__ = { odd: true };
  assert.ok(!JSON.stringify(importConversations(JSON.stringify(file))).includes("innerHTML"));
});
