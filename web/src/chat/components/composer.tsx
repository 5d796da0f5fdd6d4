/** Where the person writes. Enter sends, Shift+Enter makes a line, Escape stops the answer. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Chat } from "../chat.ts";
import type { Part } from "../conversation.ts";
import { takeFiles } from "../images.ts";
import { imageURL } from "../transfer.ts";
import { Icon } from "./base.tsx";
import { Images } from "./message.tsx";

/** What the composer shares with what lies around it: the page takes what is dropped anywhere, and offers first prompts. */
export interface Draft {
  text: string;
  images: string[];
}

export function Composer({ chat, running, draft, change }: { chat: Chat; running: boolean; draft: Draft; change: (d: Partial<Draft>) => void }) {
  const [byURL, setByURL] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const file = useRef<HTMLInputElement>(null);
  const id = chat.state.conversation.id;
  useEffect(() => area.current?.focus(), [id]);
  const send = () => {
    const parts: Part[] = [...(draft.text.trim() === "" ? [] : [{ type: "text" as const, text: draft.text }]), ...draft.images.map((url) => ({ type: "image" as const, url }))];
    if (parts.length > 0 && chat.send(parts)) change({ text: "", images: [] });
  };
  return (
    <form class="composer" aria-label="New message" onSubmit={(e) => { e.preventDefault(); send(); }}>
      <Images urls={draft.images} remove={(at) => change({ images: draft.images.filter((_, i) => i !== at) })} />
      {byURL && <AddByURL add={(url) => { change({ images: [...draft.images, url] }); setByURL(false); area.current?.focus(); }} close={() => setByURL(false)} />}
      <label class="visually-hidden" for="prompt">Message</label>
      <textarea
        id="prompt" ref={area} rows={2} value={draft.text} placeholder="Ask something"
        onInput={(e) => change({ text: e.currentTarget.value })}
        onPaste={async (e) => {
          const files = [...(e.clipboardData?.files ?? [])];
          if (files.length === 0) return;
          e.preventDefault();
          await takeInto(chat, files, change, draft);
        }}
        onKeyDown={(e) => {
          if (e.key === "Enter" && !e.shiftKey && !e.isComposing) { e.preventDefault(); if (!running) send(); }
        }}
      />
      <div class="composer-bar">
        <input
          ref={file} class="visually-hidden" type="file" accept="image/png,image/jpeg,image/gif,image/webp" multiple tabIndex={-1} aria-label="Image files"
          onChange={async (e) => {
            const input = e.currentTarget;
            await takeInto(chat, [...(input.files ?? [])], change, draft);
            input.value = ""; // the same file may be chosen again
          }}
        />
        <button type="button" class="plain" onClick={() => file.current?.click()}><Icon name="image" /> Image</button>
        <button type="button" class="plain" aria-expanded={byURL} aria-label="By URL: an image" onClick={() => setByURL(!byURL)}>By URL</button>
        <span class="keys"><kbd>Enter</kbd> sends, <kbd>Shift</kbd>+<kbd>Enter</kbd> new line, <kbd>Esc</kbd> stops</span>
        {running ? (
          <button type="button" class="stop" onClick={() => chat.stop()}>Stop</button>
        ) : (
          <button type="submit" disabled={draft.text.trim() === "" && draft.images.length === 0}>Send</button>
        )}
      </div>
    </form>
  );
}

/** takeInto adds files to a draft. Those of a paste or a drop come here as well. */
export async function takeInto(chat: Chat, files: File[], change: (d: Partial<Draft>) => void, draft: Draft): Promise<void> {
  const taken = await takeFiles(files);
  if (taken.urls.length > 0) change({ images: [...draft.images, ...taken.urls] });
  chat.notify(taken.problem);
}

function AddByURL({ add, close }: { add: (url: string) => void; close: () => void }) {
  const [url, setURL] = useState("");
  const [problem, setProblem] = useState("");
  const done = () => (imageURL.test(url.trim()) ? add(url.trim()) : setProblem("An image's address begins with https:// or http://."));
  return (
    <div class="by-url">
      <label for="image-url">Address of an image; the server fetches it</label>
      <div class="row">
        <input
          id="image-url" type="url" value={url} placeholder="https://" aria-describedby="image-url-problem" ref={(e) => { if (e && url === "") e.focus(); }} onInput={(e) => setURL(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key === "Enter") { e.preventDefault(); done(); }
            if (e.key === "Escape") { e.stopPropagation(); close(); }
          }}
        />
        <button type="button" class="quiet" onClick={done}>Add</button>
      </div>
      <p id="image-url-problem" class="hint bad">{problem}</p>
    </div>
  );
}
