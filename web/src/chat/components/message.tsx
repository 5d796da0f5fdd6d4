/** One message of a conversation, with what can be done with it. */
import { useMemo, useState } from "preact/hooks";
import type { Chat } from "../chat.ts";
import { type AnswerNode, type Facts, type Part, type UserNode, images, text } from "../conversation.ts";
import { count, dollars, pretty, seconds, speed } from "../format.ts";
import { check } from "../schema.ts";
import { Copy, Icon, memo } from "./base.tsx";
import { Calls } from "./calls.tsx";
import { Code, Markdown } from "./markdown.tsx";

/** Place says which of several messages in the same place is shown: others are the ids of all, the oldest first. */
interface Place {
  others: string; // joined by spaces: a string is the same value when nothing has changed
  current: boolean; // it is the last message
  running: boolean; // the conversation has a turn on its way
}

/** An Opener opens what lies above the page. It is the same value always. */
export interface Opener {
  code: (answer: AnswerNode) => void;
  key: () => void;
}

/** Branches switches between the messages in one place. */
function Branches({ chat, id, others }: { chat: Chat; id: string; others: string }) {
  const ids = others.split(" ");
  if (ids.length < 2) return null;
  const at = ids.indexOf(id);
  const go = (to: number) => {
    const other = ids[to];
    if (other !== undefined) chat.select(other);
  };
  return (
    <span class="branches" role="group" aria-label="Branches">
      <button type="button" class="plain" aria-label="Previous branch" disabled={at === 0} onClick={() => go(at - 1)}><Icon name="left" /></button>
      <span>{at + 1} of {ids.length}</span>
      <button type="button" class="plain" aria-label="Next branch" disabled={at === ids.length - 1} onClick={() => go(at + 1)}><Icon name="right" /></button>
    </span>
  );
}

export const UserMessage = memo(function UserMessage({ chat, node, others, running }: { chat: Chat; node: UserNode } & Place) {
  const [editing, edit] = useState(false);
  if (editing) return <Editor chat={chat} node={node} close={() => edit(false)} />;
  return (
    <article class="message user">
      <h2 class="visually-hidden">You</h2>
      <Images urls={images(node.parts)} />
      <p class="said">{text(node.parts)}</p>
      <footer>
        <Branches chat={chat} id={node.id} others={others} />
        <button type="button" class="plain" disabled={running} onClick={() => edit(true)}>Edit</button>
        <Copy text={() => text(node.parts)} of="your message" />
      </footer>
    </article>
  );
});

/** Images shows pictures. One that lies elsewhere is only named: its owner need not know who looks at it. */
export function Images({ urls, remove }: { urls: string[]; remove?: (at: number) => void }) {
  if (urls.length === 0) return null;
  return (
    <ul class="images" aria-label="Images">
      {urls.map((url, i) => (
        <li key={i}>
          {url.startsWith("data:") ? <img src={url} alt={`Image ${i + 1}`} /> : <span class="remote">{url}</span>}
          {remove && <button type="button" class="plain" aria-label={`Remove image ${i + 1}`} onClick={() => remove(i)}><Icon name="close" /></button>}
        </li>
      ))}
    </ul>
  );
}

function Editor({ chat, node, close }: { chat: Chat; node: UserNode; close: () => void }) {
  const [words, setWords] = useState(text(node.parts));
  const [pictures, setPictures] = useState(images(node.parts));
  const send = () => {
    const parts: Part[] = [...(words.trim() === "" ? [] : [{ type: "text" as const, text: words }]), ...pictures.map((url) => ({ type: "image" as const, url }))];
    if (parts.length > 0 && chat.send(parts, { parent: node.parent })) close();
  };
  return (
    <form class="message user editor" aria-label="Edit your message" onSubmit={(e) => { e.preventDefault(); send(); }}>
      <Images urls={pictures} remove={(at) => setPictures(pictures.filter((_, i) => i !== at))} />
      <label class="visually-hidden" for={"edit-" + node.id}>Your message</label>
      <textarea
        id={"edit-" + node.id} rows={3} value={words} onInput={(e) => setWords(e.currentTarget.value)} ref={(e) => { if (e && document.activeElement !== e && !e.dataset["seen"]) { e.dataset["seen"] = "1"; e.focus(); } }}
        onKeyDown={(e) => {
          if (e.key === "Escape") { e.stopPropagation(); close(); }
          if (e.key === "Enter" && !e.shiftKey && !e.isComposing) { e.preventDefault(); send(); }
        }}
      />
      <footer>
        <button type="submit">Send as a new branch</button>
        <button type="button" class="quiet" onClick={close}>Cancel</button>
      </footer>
    </form>
  );
}

export const AnswerMessage = memo(function AnswerMessage({ chat, node, others, current, running, open }: { chat: Chat; node: AnswerNode; open: Opener } & Place) {
  const over = node.state !== "streaming";
  const silent = node.text === "" && node.reasoning === "" && node.refusal === "" && node.calls.length === 0;
  return (
    <article class="message answer" aria-busy={!over} data-state={node.state}>
      <h2 class="visually-hidden">Answer</h2>
      {node.reasoning !== "" && (
        <details class="reasoning">
          <summary>Reasoning</summary>
          <Markdown text={node.reasoning} over={over} />
        </details>
      )}
      {!over && silent && <p class="waiting">Waiting for the first token …</p>}
      {node.settings.schema !== "" && node.state === "done" && node.text !== "" ? <Checked schema={node.settings.schema} text={node.text} /> : <Markdown text={node.text} over={over} />}
      {node.refusal !== "" && <p class="note warn">The model refuses: {node.refusal}</p>}
      {node.calls.length > 0 && <Calls chat={chat} answer={node} current={current} running={running} />}
      {node.state === "stopped" && <p class="note">Stopped. The server has ended its run.</p>}
      {node.facts.finish === "length" && <p class="note">Cut off at the limit of tokens.</p>}
      {node.failure !== undefined && (
        <div class="note bad" role="alert">
          <p>{node.failure.message}</p>
          <p class="hint">
            {[node.failure.status && `Status ${node.failure.status}`, node.failure.code, node.failure.retryAfter !== undefined && `try again in ${node.failure.retryAfter} s`].filter(Boolean).join(" · ")}
          </p>
          <p class="row">
            {current && <button type="button" disabled={running} onClick={() => chat.again(node)}>Retry</button>}
            {node.failure.status === 401 && <button type="button" class="quiet" onClick={open.key}>Enter a key</button>}
          </p>
        </div>
      )}
      {over && (
        <footer>
          <Branches chat={chat} id={node.id} others={others} />
          {node.text !== "" && <Copy text={() => node.text} of="the answer" />}
          <button type="button" class="plain" disabled={running} onClick={() => chat.again(node)}>Ask again</button>
          <button type="button" class="plain" onClick={() => open.code(node)}>Show as code</button>
        </footer>
      )}
      {over && <Figures facts={node.facts} />}
    </article>
  );
});

/** Checked is an answer that had to fit a JSON schema, and whether it does. */
function Checked({ schema, text }: { schema: string; text: string }) {
  const verdict = useMemo(() => check(schema, text), [schema, text]);
  return (
    <>
      <Code code={pretty(text)} language="json" over />
      {verdict.ok ? (
        <p class="note good">Valid: it fits the schema.</p>
      ) : (
        <div class="note bad">
          <p>It does not fit the schema:</p>
          <ul>{verdict.problems.map((p) => <li key={p}>{p}</li>)}</ul>
        </div>
      )}
    </>
  );
}

const resumes: Record<string, string> = {
  new: "a new run", parked: "the parked run went on", memory: "upstream still knew the conversation", transcript: "rebuilt from the transcript",
};

/** Figures is what an answer took and how it came about. */
function Figures({ facts }: { facts: Facts }) {
  const tokens = speed(facts);
  const u = facts.usage;
  const about = u?.estimated ? "≈ " : "";
  const rows: [string, string, string][] = [];
  const add = (name: string, label: string, value: string | undefined) => value && rows.push([name, label, value]);
  add("first-token", "First token", facts.firstToken === undefined ? undefined : seconds(facts.firstToken));
  add("duration", "Whole", facts.duration === undefined ? undefined : seconds(facts.duration));
  add("speed", "Speed", tokens === undefined ? undefined : `${about}${count(Math.round(tokens))} tokens/s`);
  add("prompt", "In", u && `${about}${count(u.prompt)} tokens, ${count(u.cached)} cached`);
  add("completion", "Out", u && `${about}${count(u.completion)} tokens${u.reasoning > 0 ? `, ${count(u.reasoning)} reasoning` : ""}`);
  add("cost", "Cost", typeof u?.cost === "number" ? about + dollars(u.cost) : undefined);
  add("resume", "Run", facts.resume && (resumes[facts.resume] ? `${facts.resume}: ${resumes[facts.resume]}` : facts.resume));
  add("upstream", "Upstream", [facts.upstream, facts.model].filter(Boolean).join(", "));
  add("request", "Request", facts.requestID);
  if (rows.length === 0) return null;
  return (
    <dl class="figures">
      {rows.map(([name, label, value]) => (
        <div key={name} data-figure={name}>
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
