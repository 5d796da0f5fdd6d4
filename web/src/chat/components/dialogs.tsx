/** What opens above the page: a request as code, and the key. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Chat } from "../chat.ts";
import type { AnswerNode } from "../conversation.ts";
import { type ChatRequest, SettingsError } from "../request.ts";
import { type Language, hasLongImage, showAs } from "../showas.ts";
import { Copy, Icon } from "./base.tsx";
import { Code } from "./markdown.tsx";

/** Dialog is the browser's own modal dialog: it keeps the focus, and Escape closes it. */
function Dialog({ title, close, children }: { title: string; close: () => void; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    element?.showModal();
    return () => {
      // What lies below can have the focus only once the dialog is closed.
      element?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby="dialog-title" onClose={close} onKeyDown={(e) => e.key === "Escape" && e.stopPropagation()}>
      <header>
        <h2 id="dialog-title">{title}</h2>
        <button type="button" class="plain" aria-label="Close" onClick={() => dialog.current?.close()}><Icon name="close" /></button>
      </header>
      {children}
    </dialog>
  );
}

const languages: [Language | "events", string][] = [["curl", "curl"], ["python", "Python"], ["typescript", "TypeScript"], ["events", "Raw events"]];

/** ShowAs shows the request of an answer, or of the next one when there is none. base is the address of the API for programs. */
export function ShowAs({ chat, answer, base, close }: { chat: Chat; answer: AnswerNode | undefined; base: string; close: () => void }) {
  const [language, setLanguage] = useState<Language | "events">("curl");
  const [request, problem] = tryRequest(chat, answer);
  const shown = language === "events" ? eventsOf(chat, answer) : request && showAs(language, request, base, true);
  const whole = () => (language === "events" || request === undefined ? shown ?? "" : showAs(language, request, base, false));
  return (
    <Dialog title={answer === undefined ? "The next request as code" : "This request as code"} close={close}>
      <div class="choices" role="radiogroup" aria-label="Form">
        {languages.map(([value, label]) => (
          <label key={value}>
            <input type="radio" name="language" value={value} checked={language === value} onChange={() => setLanguage(value)} />
            <span>{label}</span>
          </label>
        ))}
      </div>
      {problem !== "" && <p class="note bad">{problem}</p>}
      {shown !== undefined && problem === "" && (
        <>
          <Code key={language} code={shown} language={{ curl: "bash", python: "python", typescript: "typescript", events: "text" }[language]} over />
          <p class="hint">
            {language === "events" ? "What came, event by event. " : "Your key is not in it: put it into the variable COMPOSER_API_KEY. "}
            {language !== "events" && request !== undefined && hasLongImage(request) && <>Image data is shortened here. <Copy label="Copy it whole" of="the code with its images" text={whole} /></>}
          </p>
        </>
      )}
    </Dialog>
  );
}

function tryRequest(chat: Chat, answer: AnswerNode | undefined): [ChatRequest | undefined, string] {
  try {
    return [chat.request(answer), ""];
  } catch (error) {
    if (error instanceof SettingsError) return [undefined, error.message];
    throw error;
  }
}

function eventsOf(chat: Chat, answer: AnswerNode | undefined): string {
  const found = answer && chat.events(answer.id);
  if (found === undefined) return "The events of a stream are here until the page is loaded anew.";
  return found.map((data) => `data: ${data}\n`).join("\n");
}

export function KeyDialog({ chat, close }: { chat: Chat; close: () => void }) {
  const [value, setValue] = useState(chat.key.get());
  const [remember, setRemember] = useState(chat.key.remembered());
  const use = (key: string) => {
    void chat.useKey(key, remember);
    close();
  };
  return (
    <Dialog title="API key" close={close}>
      <form class="key" onSubmit={(e) => { e.preventDefault(); use(value); }}>
        <label for="key">Your Cursor API key, or a cmp_ key of this server</label>
        <input id="key" type="password" autocomplete="off" spellcheck={false} value={value} onInput={(e) => setValue(e.currentTarget.value)} />
        <label class="check">
          <input type="checkbox" checked={remember} onChange={(e) => setRemember(e.currentTarget.checked)} />
          Keep it until this tab is closed, also when the page is loaded anew
        </label>
        <p class="hint">It is kept in this page's memory and sent to this server alone, with your requests.</p>
        <div class="row">
          <button type="submit">Use this key</button>
          {chat.key.get() !== "" && <button type="button" class="quiet" onClick={() => use("")}>Forget the key</button>}
        </div>
      </form>
    </Dialog>
  );
}
