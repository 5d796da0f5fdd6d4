/** The calls of an answer: what the model asks for, and what it gets. */
import { useState } from "preact/hooks";
import type { Chat } from "../chat.ts";
import { type AnswerNode, type ToolCall, openCalls } from "../conversation.ts";
import { pretty } from "../format.ts";
import { pageTool } from "../tools.ts";
import { Code } from "./markdown.tsx";

export function Calls({ chat, answer, current, running }: { chat: Chat; answer: AnswerNode; current: boolean; running: boolean }) {
  const open = openCalls(answer).length;
  return (
    <div class="calls">
      <p class="calls-title">
        {answer.calls.length === 1 ? "The model calls a tool" : `The model calls ${answer.calls.length} tools at once`}
        {open > 0 && open < answer.calls.length && `; ${open} still open`}
      </p>
      <ol>
        {answer.calls.map((call) => <Call key={call.id} chat={chat} answer={answer} call={call} current={current} running={running} />)}
      </ol>
      {current && open === 0 && !running && answer.state === "done" && <button type="button" onClick={() => chat.goOn()}>Go on</button>}
    </div>
  );
}

const sources = { page: "The page answered", person: "You answered", skipped: "Not answered" };

function Call({ chat, answer, call, current, running }: { chat: Chat; answer: AnswerNode; call: ToolCall; current: boolean; running: boolean }) {
  const result = answer.results[call.id];
  const inPage = answer.settings.pageTools.includes(call.name) && pageTool(call.name) !== undefined;
  return (
    <li class="call" data-call={call.name}>
      <p class="call-name"><code>{call.name}</code></p>
      {call.arguments !== "" && call.arguments !== "{}" && <Code code={pretty(call.arguments)} language="json" over={answer.state !== "streaming"} />}
      {result !== undefined ? (
        <div class="result">
          <p class="hint">{sources[result.by]}:</p>
          <pre tabIndex={0} role="group" aria-label={`Result of ${call.name}`}>{result.content}</pre>
        </div>
      ) : answer.state === "streaming" ? null : inPage && running ? ( // else it was stopped, and the person may answer
        <p class="hint">The page runs it …</p>
      ) : (
        current && <AnswerCall chat={chat} answer={answer} call={call} />
      )}
    </li>
  );
}

/** AnswerCall is where the person writes a tool's result. */
function AnswerCall({ chat, answer, call }: { chat: Chat; answer: AnswerNode; call: ToolCall }) {
  const [text, setText] = useState("");
  const id = "result-" + call.id;
  const give = () => chat.giveResult(answer.id, call.id, text);
  return (
    <form class="give" onSubmit={(e) => { e.preventDefault(); give(); }}>
      <label for={id}>Your answer as the tool {call.name}</label>
      <textarea
        id={id} rows={2} value={text} onInput={(e) => setText(e.currentTarget.value)}
        onKeyDown={(e) => {
          if (e.key === "Enter" && !e.shiftKey && !e.isComposing) { e.preventDefault(); give(); }
        }}
      />
      <button type="submit">Give the result</button>
    </form>
  );
}
