/** The messages of a conversation, from the first to the current one. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { nextChunk } from "../announce.ts";
import type { Chat, State } from "../chat.ts";
import { path, places } from "../conversation.ts";
import { AnswerMessage, type Opener, UserMessage } from "./message.tsx";

/** How near the end counts as being there, in pixels. */
const nearEnd = 80;

export function Thread({ chat, state, open, children }: { chat: Chat; state: State; open: Opener; children: preact.ComponentChildren }) {
  const { conversation } = state;
  const box = useRef<HTMLDivElement>(null);
  const follow = useRef(true); // the person is at the end and wants to see what comes
  const shown = path(conversation);
  const inPlace = places(conversation);
  const running = state.running.has(conversation.id);
  useLayoutEffect(() => {
    follow.current = true;
  }, [conversation.id, conversation.leaf]);
  useLayoutEffect(() => {
    if (box.current && follow.current) box.current.scrollTop = box.current.scrollHeight;
  });
  return (
    <div
      class="thread" id="main" ref={box} tabIndex={0} role="region" aria-label="Conversation"
      onScroll={(e) => { follow.current = e.currentTarget.scrollHeight - e.currentTarget.scrollTop - e.currentTarget.clientHeight < nearEnd; }}
    >
      <div class="column">
        {shown.length === 0 ? children : shown.map((node) => {
          const place = { others: inPlace.get(node.parent)?.join(" ") ?? "", current: node.id === conversation.leaf, running };
          return node.kind === "user"
            ? <UserMessage key={node.id} chat={chat} node={node} {...place} />
            : <AnswerMessage key={node.id} chat={chat} node={node} open={open} {...place} />;
        })}
      </div>
      <Voice answer={shown.at(-1)} />
    </div>
  );
}

/** How often the voice of a screen reader gets more, in milliseconds. */
const tellEvery = 1500;

/** Voice tells screen readers an answer as it comes, sentence by sentence. */
function Voice({ answer }: { answer: ReturnType<typeof path>[number] | undefined }) {
  const [told, tell] = useState("");
  const latest = useRef(answer);
  latest.current = answer;
  const id = answer?.kind === "answer" && answer.state === "streaming" ? answer.id : undefined;
  useEffect(() => {
    if (id === undefined) return;
    let said = 0;
    const more = (over: boolean) => {
      const node = latest.current;
      if (node?.kind !== "answer" || node.id !== id) return;
      const next = nextChunk(node.text, said, over);
      said = next.said;
      const end = !over ? "" : node.calls.length > 0 ? "The model calls tools." : node.state === "done" ? "The answer is complete." : "The answer was cut off.";
      if (next.chunk !== "" || end !== "") tell([next.chunk, end].filter(Boolean).join(" "));
    };
    tell("Answering.");
    const timer = setInterval(() => more(false), tellEvery);
    return () => {
      clearInterval(timer);
      more(true);
    };
  }, [id]);
  return <div class="visually-hidden" role="status" aria-live="polite">{told}</div>;
}
