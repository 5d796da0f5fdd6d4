/** The conversations of this browser. */
import { useRef } from "preact/hooks";
import type { Chat, State } from "../chat.ts";
import { Icon, saveFile } from "./base.tsx";

export function Sidebar({ chat, state, done }: { chat: Chat; state: State; done: () => void }) {
  const file = useRef<HTMLInputElement>(null);
  const { heads, conversation, running } = state;
  return (
    <>
      <button type="button" class="quiet wide" onClick={() => { chat.create(); done(); }}><Icon name="plus" /> New conversation</button>
      <ul class="heads">
        {heads.map((head) => (
          <li key={head.id}>
            <button type="button" class="head" aria-current={head.id === conversation.id ? "true" : undefined} onClick={() => { void chat.show(head.id); done(); }}>
              {head.title || "Untitled"}
              {running.has(head.id) && <span class="dot"> (answering)</span>}
            </button>
            <button
              type="button" class="plain" aria-label={`Delete ${head.title || "Untitled"}`}
              onClick={() => confirm(`Delete "${head.title || "Untitled"}" with all its branches?`) && void chat.delete(head.id)}
            >
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
      <div class="transfer">
        <button type="button" class="plain" disabled={conversation.leaf === null} onClick={async () => saveFile("conversation.json", await chat.export(conversation.id))}>Export this one</button>
        <button type="button" class="plain" disabled={heads.length === 0} onClick={async () => saveFile("conversations.json", await chat.export())}>Export all</button>
        <button type="button" class="plain" onClick={() => file.current?.click()}>Import</button>
        <input
          ref={file} class="visually-hidden" type="file" accept="application/json,.json" tabIndex={-1} aria-label="A file of conversations"
          onChange={async (e) => {
            const input = e.currentTarget;
            const chosen = input.files?.[0];
            if (chosen !== undefined) await chat.import(await chosen.text());
            input.value = "";
          }}
        />
      </div>
      <p class="hint">{state.lasting ? "Kept in this browser only. The server keeps nothing of them." : "This browser keeps nothing: export what you need before you close the page."}</p>
    </>
  );
}
