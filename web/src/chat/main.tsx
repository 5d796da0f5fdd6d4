/** The playground begins here: what the server wrote into the page, the store, the chat, the page's elements. */
import { render } from "preact";
import { Chat } from "./chat.ts";
import { App } from "./components/app.tsx";
import { Key } from "./key.ts";
import { MemoryStore, openStore } from "./store.ts";

async function main(element: HTMLElement): Promise<void> {
  // The server may lie below a path of a proxy.
  const root = element.dataset["root"] ?? "";
  const site = { base: (element.dataset["address"] || location.origin + root) + "/v1", demo: element.dataset["demo"] !== undefined };
  const store = await openStore().catch(() => new MemoryStore());
  const chat = new Chat(store, new Key(), root + "/v1", root);
  element.replaceChildren();
  render(<App chat={chat} site={site} />, element);
  // What came since the last time it was kept is written when the page goes away, as far as the browser lets us.
  addEventListener("pagehide", () => void chat.saveAll());
  document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && void chat.saveAll());
  await chat.start(location.hash.slice(1));
}

const element = document.getElementById("app");
if (element !== null) void main(element);
