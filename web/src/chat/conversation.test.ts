import assert from "node:assert/strict";
import { test } from "node:test";
import { type AnswerNode, type Conversation, type UserNode, append, defaultSettings, interrupted, newConversation, openCalls, path, places, select } from "./conversation.ts";

function user(id: string, parent: string | null, words = id): UserNode {
  return { kind: "user", id, parent, created: 1, parts: [{ type: "text", text: words }] };
}

function answer(id: string, parent: string, more: Partial<AnswerNode> = {}): AnswerNode {
  return { kind: "answer", id, parent, created: 2, state: "done", text: id, reasoning: "", refusal: "", calls: [], results: {}, facts: {}, settings: defaultSettings, ...more };
}

/** u1 ─ a1 ─ u2 ─ a2, then u2b beside u2 with a2b, then a1b beside a1. */
function branched(): Conversation {
  return [user("u1", null), answer("a1", "u1"), user("u2", "a1"), answer("a2", "u2"), user("u2b", "a1"), answer("a2b", "u2b"), answer("a1b", "u1")].reduce(append, newConversation(defaultSettings, 0));
}

const ids = (c: Conversation) => path(c).map((n) => n.id);

test("what was said last is current, and the other branches are still there", () => {
  const c = branched();
  assert.deepEqual(ids(c), ["u1", "a1b"]);
  assert.deepEqual([...places(c)], [[null, ["u1"]], ["u1", ["a1", "a1b"]], ["a1", ["u2", "u2b"]], ["u2", ["a2"]], ["u2b", ["a2b"]]]);
});

test("a branch is selected down to its newest message", () => {
  const c = select(branched(), "a1");
  assert.deepEqual(ids(c), ["u1", "a1", "u2b", "a2b"]);
  assert.deepEqual(ids(select(c, "u2")), ["u1", "a1", "u2", "a2"]);
});

test("the first words are the title, cut between characters", () => {
  const first = (words: string) => append(newConversation(defaultSettings, 0), user("u", null, words)).title;
  assert.equal(first("  two\n words "), "two words");
  assert.equal(first("😀".repeat(80)), "😀".repeat(59) + "…");
  const c = append(branched(), user("u3", "a1b", "other"));
  assert.equal(c.title, "u1");
});

test("an answer that was on its way when the page was closed has failed, with its words", () => {
  const c = interrupted(append(branched(), answer("a9", "u1", { state: "streaming", text: "half" })));
  const node = c.nodes["a9"] as AnswerNode;
  assert.equal(node.state, "failed");
  assert.equal(node.text, "half");
  assert.match(node.failure!.message, /reloaded/);
});

test("calls without a result are open", () => {
  const calls = [{ id: "1", name: "a", arguments: "" }, { id: "2", name: "b", arguments: "" }];
  assert.deepEqual(openCalls(answer("a", "u", { calls, results: { 1: { content: "", by: "person" } } })).map((c) => c.id), ["2"]);
});
