/**
 * A conversation is a tree of messages. Whoever edits a message or asks again gets a branch beside the old one, and
 * nothing is lost. One leaf is current: the path from the root to it is what is shown and what is sent.
 *
 * Everything here is a plain value that can be kept in IndexedDB and written as JSON. Values are not changed but
 * replaced, so that the page draws anew only what is another value.
 */

/** A Part of what the person says. An image's url is a data: URL, or an http(s) one that the server fetches. */
export type Part = { type: "text"; text: string } | { type: "image"; url: string };

export interface ToolCall {
  id: string;
  name: string;
  arguments: string; // JSON, as the model wrote it
}

/** Who gave a tool's result: the page ran the tool, the person wrote it, or nobody did and the turn went on. */
export type ResultSource = "page" | "person" | "skipped";

export interface ToolResult {
  content: string;
  by: ResultSource;
}

/** A HandTool is a tool that the person has defined and answers by hand. */
export interface HandTool {
  name: string;
  description: string;
  parameters: string; // a JSON schema as it was typed
}

/** Settings are what a request asks for besides its messages. */
export interface Settings {
  model: string; // "" until the list of models is there
  system: string;
  maxTokens: number | null;
  stop: string[];
  schema: string; // a JSON schema as it was typed; "" for an answer in words
  pageTools: string[]; // names of the page's tools that are offered
  handTools: HandTool[];
  parallel: boolean; // several calls at once are allowed
}

export const defaultSettings: Settings = {
  model: "",
  system: "",
  maxTokens: null,
  stop: [],
  schema: "",
  pageTools: [],
  handTools: [],
  parallel: true,
};

export interface Usage {
  prompt: number;
  cached: number; // of prompt, read from upstream's cache
  completion: number;
  reasoning: number; // of completion
  estimated: boolean;
  cost: number | null; // US dollars; null when the price isn't known
}

/** Facts are what is known of how an answer came. Times are in milliseconds since the request was sent. */
export interface Facts {
  firstToken?: number;
  duration?: number;
  usage?: Usage;
  resume?: string; // the header X-Composer-Resume: new, parked, memory or transcript
  upstream?: string;
  model?: string; // the model with its parameters, as the server asked for it
  requestID?: string;
  finish?: string;
}

/** A Failure is an error as the server says it, or our words for one that never reached a server. */
export interface Failure {
  message: string;
  status?: number;
  code?: string;
  requestID?: string;
  retryAfter?: number; // seconds
}

interface NodeBase {
  id: string;
  parent: string | null; // null at the root
  created: number; // milliseconds since 1970
}

export interface UserNode extends NodeBase {
  kind: "user";
  parts: Part[];
}

/** streaming is also the state of an answer whose page was closed on the way: see {@link interrupted}. */
export type AnswerState = "streaming" | "done" | "stopped" | "failed";

export interface AnswerNode extends NodeBase {
  kind: "answer";
  state: AnswerState;
  text: string;
  reasoning: string;
  refusal: string;
  calls: ToolCall[];
  results: Record<string, ToolResult>; // by the call's id
  failure?: Failure;
  facts: Facts;
  settings: Settings; // those of its request
}

export type Node = UserNode | AnswerNode;

export interface Conversation {
  id: string;
  title: string;
  created: number;
  updated: number;
  settings: Settings;
  leaf: string | null; // null while nothing was said
  nodes: Record<string, Node>; // in the order in which they came
}

/** newID makes an id that is used nowhere else. Its first letter keeps it from being taken for a number, which would move it to the front of an object. */
export function newID(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return "n" + Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

export function newConversation(settings: Settings, now: number): Conversation {
  return { id: newID(), title: "", created: now, updated: now, settings, leaf: null, nodes: {} };
}

/** path is the messages from the root to node, which is the leaf unless it is given. */
export function path(c: Conversation, node: string | null = c.leaf): Node[] {
  const found: Node[] = [];
  for (let at = node === null ? undefined : c.nodes[node]; at !== undefined; at = at.parent === null ? undefined : c.nodes[at.parent]) {
    found.push(at);
  }
  return found.reverse();
}

/** places are the ids of the messages that stand in the same place, the oldest first, by their parent. */
export function places(c: Conversation): Map<string | null, string[]> {
  const found = new Map<string | null, string[]>();
  for (const n of Object.values(c.nodes)) {
    const place = found.get(n.parent);
    if (place === undefined) found.set(n.parent, [n.id]);
    else place.push(n.id);
  }
  return found;
}

/** append adds a message below its parent and makes it the leaf. The first words give the conversation its title. */
export function append(c: Conversation, node: Node): Conversation {
  const title = c.title === "" && node.kind === "user" ? titleOf(node.parts) : c.title;
  return { ...c, title, updated: node.created, leaf: node.id, nodes: { ...c.nodes, [node.id]: node } };
}

/** replace puts a changed message in the place of the one with its id. */
export function replace(c: Conversation, node: Node): Conversation {
  return { ...c, nodes: { ...c.nodes, [node.id]: node } };
}

/** select makes the branch current that node is on: down to its newest descendant. */
export function select(c: Conversation, node: string): Conversation {
  const newest: Record<string, string> = {}; // by the parent
  for (const n of Object.values(c.nodes)) {
    if (n.parent !== null) newest[n.parent] = n.id;
  }
  let leaf = node;
  for (let next = newest[leaf]; next !== undefined; next = newest[leaf]) leaf = next;
  return { ...c, leaf };
}

/** text is the words among parts. */
export function text(parts: Part[]): string {
  return parts.flatMap((p) => (p.type === "text" ? [p.text] : [])).join("\n");
}

/** images are the addresses of the images among parts. */
export function images(parts: Part[]): string[] {
  return parts.flatMap((p) => (p.type === "image" ? [p.url] : []));
}

/** openCalls are the calls that still lack a result. */
export function openCalls(a: AnswerNode): ToolCall[] {
  return a.calls.filter((call) => a.results[call.id] === undefined);
}

/** interrupted is a conversation that was read from where it is kept: answers that were on their way then will not go on. */
export function interrupted(c: Conversation): Conversation {
  for (const n of Object.values(c.nodes)) {
    if (n.kind === "answer" && n.state === "streaming") {
      c = replace(c, { ...n, state: "failed", failure: { message: "The page was closed or reloaded before the answer was complete." } });
    }
  }
  return c;
}

const maxTitle = 60;

function titleOf(parts: Part[]): string {
  const words = text(parts).replace(/\s+/g, " ").trim();
  if (words === "") return images(parts).length > 0 ? "An image" : "";
  const letters = Array.from(words); // not in the middle of a character of two units
  return letters.length <= maxTitle ? words : letters.slice(0, maxTitle - 1).join("") + "…";
}
