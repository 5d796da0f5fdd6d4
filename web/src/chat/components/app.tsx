/** The whole page: conversations at the left, the one that is shown in the middle, its settings at the right. */
import { useEffect, useMemo, useState } from "preact/hooks";
import type { Chat, State } from "../chat.ts";
import type { AnswerNode } from "../conversation.ts";
import { Icon, useChat } from "./base.tsx";
import { type Beginning, beginnings, demoBeginnings } from "../beginnings.ts";
import { Composer, type Draft, takeInto } from "./composer.tsx";
import { KeyDialog, ShowAs } from "./dialogs.tsx";
import type { Opener } from "./message.tsx";
import { SettingsPanel } from "./settings.tsx";
import { Sidebar } from "./sidebar.tsx";
import { Thread } from "./thread.tsx";

/** Site is what the server says of itself in the page. */
export interface Site {
  base: string; // the address of the API for programs
  demo: boolean;
}

/** What is open beside or above the conversation. On a wide screen the settings need no opening of their own. */
type Open = { what: "nothing" | "side" | "panel" | "key" } | { what: "code"; answer: AnswerNode | undefined };

export function App({ chat, site }: { chat: Chat; site: Site }) {
  const state = useChat(chat);
  const [open, setOpen] = useState<Open>({ what: "nothing" });
  const [draft, setDraft] = useState<Draft>({ text: "", images: [] });
  const change = (d: Partial<Draft>) => setDraft((before) => ({ ...before, ...d }));
  const { conversation } = state;
  const running = state.running.has(conversation.id);
  const opener = useMemo<Opener>(() => ({ code: (answer) => setOpen({ what: "code", answer }), key: () => setOpen({ what: "key" }) }), []);
  const close = () => setOpen({ what: "nothing" });

  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      if (e.key !== "Escape") return;
      if (running) chat.stop();
      else close();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [running]);
  // The address names the conversation, so that a reload finds it. It is an id without meaning outside of this browser.
  useEffect(() => {
    if (conversation.leaf !== null) history.replaceState(null, "", "#" + conversation.id);
    else history.replaceState(null, "", location.pathname);
  }, [conversation.id, conversation.leaf === null]);

  return (
    <>
      <aside class={"side" + (open.what === "side" ? " open" : "")} id="side" aria-label="Conversations">
        <Sidebar chat={chat} state={state} done={close} />
      </aside>
      <section
        class="talk" aria-label="Playground"
        onDragOver={(e) => e.preventDefault()}
        onDrop={(e) => { e.preventDefault(); void takeInto(chat, [...(e.dataTransfer?.files ?? [])], change, draft); }}
      >
        <header class="talk-bar">
          <button type="button" class="plain drawer" aria-label="Conversations" aria-expanded={open.what === "side"} aria-controls="side" onClick={() => setOpen({ what: open.what === "side" ? "nothing" : "side" })}><Icon name="menu" /></button>
          <h1>{conversation.title || "Playground"}</h1>
          <ModelChoice chat={chat} state={state} />
          <button type="button" class="plain" onClick={() => setOpen({ what: "code", answer: undefined })}>Code</button>
          <button type="button" class="plain" onClick={() => setOpen({ what: "key" })}><Icon name="key" /> {state.hasKey ? "Key set" : "Key"}</button>
          <button type="button" class="plain drawer-settings" aria-label="Settings" aria-expanded={open.what === "panel"} aria-controls="panel" onClick={() => setOpen({ what: open.what === "panel" ? "nothing" : "panel" })}><Icon name="settings" /></button>
        </header>
        <Thread chat={chat} state={state} open={opener}>
          <Start site={site} state={state} openKey={opener.key} retry={() => void chat.loadModels()} use={(b) => { change({ text: b.text }); if (b.settings) chat.change(b.settings); document.getElementById("prompt")?.focus(); }} />
        </Thread>
        <div class="bottom">
          <p class="notice" role="alert">{state.notice}</p>
          <Composer chat={chat} running={running} draft={draft} change={change} />
        </div>
      </section>
      <aside class={"panel" + (open.what === "panel" ? " open" : "")} id="panel" aria-label="Settings">
        <SettingsPanel chat={chat} settings={conversation.settings} />
      </aside>
      {open.what === "key" && <KeyDialog chat={chat} close={close} />}
      {open.what === "code" && <ShowAs chat={chat} answer={open.answer} base={site.base} close={close} />}
    </>
  );
}

/** The ending of the names of models in the fast tier, which costs more. */
const fast = "-fast";

/** ModelChoice is the model and, where the list has both, its tier. */
function ModelChoice({ chat, state }: { chat: Chat; state: State }) {
  const { model } = state.conversation.settings;
  const ids = new Set(state.models.map((m) => m.id));
  const hasTiers = (id: string) => ids.has(id) && ids.has(id + fast);
  const isFast = model.endsWith(fast) && hasTiers(model.slice(0, -fast.length));
  const plain = isFast ? model.slice(0, -fast.length) : model;
  const choices = state.models.filter((m) => !(m.id.endsWith(fast) && hasTiers(m.id.slice(0, -fast.length))));
  return (
    <div class="model">
      <label class="visually-hidden" for="model">Model</label>
      <select id="model" value={plain} onChange={(e) => chat.change({ model: e.currentTarget.value + (isFast && hasTiers(e.currentTarget.value) ? fast : "") })}>
        {!ids.has(plain) && <option value={plain}>{plain || "No model"}</option>}
        {choices.map((m) => <option key={m.id} value={m.id}>{m.name}</option>)}
      </select>
      {hasTiers(plain) && (
        <>
          <label class="visually-hidden" for="tier">Tier</label>
          <select id="tier" value={isFast ? "fast" : "standard"} onChange={(e) => chat.change({ model: plain + (e.currentTarget.value === "fast" ? fast : "") })}>
            <option value="standard">Standard</option>
            <option value="fast">Fast, at a higher price</option>
          </select>
        </>
      )}
    </div>
  );
}

/** Start is what a new conversation shows: what stands in the way, or what to begin with. */
function Start({ site, state, openKey, retry, use }: { site: Site; state: State; openKey: () => void; retry: () => void; use: (beginning: Beginning) => void }) {
  const trouble = state.modelsFailure;
  const asksForKey = trouble?.status === 401 && !state.hasKey; // which is no failure: nobody has given one yet
  return (
    <div class="start">
      <h2>{trouble === undefined ? "Try a model" : "Before you begin"}</h2>
      {trouble !== undefined ? (
        <div class={asksForKey ? "note" : "note bad"}>
          <p>{asksForKey ? "This server asks for a key: a Cursor API key (Cursor dashboard, Integrations), or a key of this server. The page keeps it in its memory and sends it to this server alone." : trouble.message}</p>
          <p class="row">
            {trouble.status === 401 && <button type="button" onClick={openKey}>Enter a key</button>}
            <button type="button" class="quiet" onClick={retry}>Retry</button>
          </p>
        </div>
      ) : (
        <>
          <p class="soft">{site.demo ? "This is the demo: scripts answer, and no key is needed. See it:" : "Write below, or begin with one of these:"}</p>
          <ul class="prompts">
            {(site.demo ? demoBeginnings : beginnings).map((b) => <li key={b.title}><button type="button" class="quiet" onClick={() => use(b)}>{b.title}</button></li>)}
          </ul>
        </>
      )}
    </div>
  );
}
