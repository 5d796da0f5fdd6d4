/** Small things that all components use. */
import { Component, type ComponentChildren, type FunctionComponent, h } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Chat, State } from "../chat.ts";
import { copy } from "../clipboard.ts";

/** useChat is the chat's state. The component is drawn again when it changes. */
export function useChat(chat: Chat): State {
  const [state, set] = useState(chat.state);
  useEffect(() => {
    set(chat.state);
    return chat.subscribe(() => set(chat.state));
  }, [chat]);
  return state;
}

/** memo draws a component again only when a property is another value. */
export function memo<P extends object>(draw: FunctionComponent<P>) {
  return class Memo extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      const names = new Set([...Object.keys(next), ...Object.keys(this.props)]) as Set<keyof P>;
      return [...names].some((name) => next[name] !== this.props[name]);
    }
    override render() {
      return h(draw, this.props as P);
    }
  };
}

/** The outlines of the icons, in a square of 24. */
const outlines = {
  menu: "M4 6h16M4 12h16M4 18h16",
  settings: "M4 7h9m4 0h3M4 17h3m4 0h9M15 5v4M9 15v4",
  close: "M6 6l12 12M18 6L6 18",
  plus: "M12 5v14M5 12h14",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
  key: "M14 10a4 4 0 1 0-3 3l1.5 1.5H15V17h2.500v2.500H20V16z",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01",
} as const;

export function Icon({ name }: { name: keyof typeof outlines }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round">
      <path d={outlines[name]} />
    </svg>
  );
}

/** Copy is a button that copies what text returns and says so for a moment. */
export function Copy({ text, label = "Copy", of }: { text: () => string; label?: string; of: string }) {
  const [said, say] = useState("");
  useEffect(() => {
    if (said === "") return;
    const timer = setTimeout(() => say(""), 2000);
    return () => clearTimeout(timer);
  }, [said]);
  return (
    <button type="button" class="plain" aria-label={`${said || label}: ${of}`} onClick={async () => say((await copy(text())) ? "Copied" : "Not copied")}>
      {said || label}
    </button>
  );
}

/** Field is a labelled control with a sentence on what it does. */
export function Field({ label, id, hint, children }: { label: string; id: string; hint?: string; children: ComponentChildren }) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children}
      {hint !== undefined && <p class="hint" id={id + "-hint"}>{hint}</p>}
    </div>
  );
}

/** saveFile gives the person a file to keep. */
export function saveFile(name: string, json: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([json], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser may ask where to put it
}
