/**
 * The playground's state, and everything that a person can do with it. Components draw {@link State} and call
 * {@link Chat}; this file knows no element of the page.
 *
 * A turn belongs to its conversation, not to what is on the screen: it goes on while another conversation is looked at.
 */
import { ApiError, type Model, type StreamEvent, isAbort, listModels, streamChat } from "./api.ts";
import {
  type AnswerNode, type Conversation, type Failure, type Part, type Settings, type ToolCall, type ToolResult,
  append, defaultSettings, interrupted, newConversation, newID, openCalls, path, replace, select,
} from "./conversation.ts";
import type { Key } from "./key.ts";
import { type ChatRequest, SettingsError, buildRequest } from "./request.ts";
import { type Head, MemoryStore, type Store } from "./store.ts";
import { pageTool, run } from "./tools.ts";
import { exportConversations, importConversations } from "./transfer.ts";

export interface State {
  conversation: Conversation; // the one that is shown
  heads: Head[]; // of all that are kept, the newest first
  running: ReadonlySet<string>; // the conversations with a turn on its way
  models: Model[];
  modelsFailure: Failure | undefined; // why there are none
  hasKey: boolean;
  lasting: boolean; // conversations outlive the page
  notice: string; // a sentence for the person; "" for none
}

/** How often what has come is drawn, and how often it is kept, in milliseconds. */
const drawEvery = 40;
const keepEvery = 1000;

/** A loop of tools that need no person is stopped after so many turns: each costs money. */
const maxRounds = 25;

/** How much of a stream's events is kept for the person to look at, in characters, and of how many answers. */
const maxRaw = 2 << 20;
const maxRawAnswers = 20;

export class Chat {
  state: State;
  private readonly listeners = new Set<() => void>();
  private readonly open = new Map<string, Conversation>(); // the one that is shown and those with a turn
  private readonly stops = new Map<string, AbortController>(); // by conversation
  private readonly written = new Map<string, Conversation>(); // as they are in the store
  private readonly raw = new Map<string, { data: string[]; size: number }>(); // by answer
  private writing: Promise<void> = Promise.resolve();

  /** base is the address of the API, root what stands before the paths of this server's pages. */
  constructor(private readonly store: Store, readonly key: Key, private readonly base: string, private readonly root: string) {
    const conversation = newConversation(defaultSettings, Date.now());
    this.open.set(conversation.id, conversation);
    this.state = {
      conversation, heads: [], running: new Set(), models: [], modelsFailure: undefined, hasKey: key.get() !== "", lasting: !(store instanceof MemoryStore), notice: "",
    };
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** start shows the conversation with this id, else the newest, and asks for the models. */
  async start(id: string): Promise<void> {
    const heads = await this.store.heads();
    this.set({ heads });
    const first = heads.find((h) => h.id === id) ?? heads[0];
    await Promise.all([first && this.show(first.id), this.loadModels()]);
  }

  async loadModels(): Promise<void> {
    try {
      const models = await listModels(this.base, this.key.get());
      this.set({ models, modelsFailure: undefined });
      const first = models[0];
      if (this.state.conversation.settings.model === "" && first !== undefined) this.change({ model: first.id });
    } catch (error) {
      this.set({ models: [], modelsFailure: asFailure(error) });
    }
  }

  async useKey(value: string, remember: boolean): Promise<void> {
    this.key.set(value, remember);
    this.set({ hasKey: this.key.get() !== "" });
    await this.loadModels();
  }

  notify(notice: string): void {
    this.set({ notice });
  }

  // Conversations.

  /** create shows a new conversation with the same model and the page's tools. It is kept from its first message on. */
  create(): void {
    const { model, pageTools } = this.state.conversation.settings;
    this.leave(newConversation({ ...defaultSettings, model, pageTools }, Date.now()));
  }

  async show(id: string): Promise<void> {
    const found = this.open.get(id) ?? (await this.store.read(id));
    if (found === undefined || this.state.conversation.id === id) return;
    if (!this.open.has(id)) this.written.set(id, found);
    this.leave(this.open.get(id) ?? interrupted(found));
  }

  private leave(next: Conversation): void {
    const before = this.state.conversation.id;
    if (!this.stops.has(before)) this.forget(before);
    this.open.set(next.id, next);
    this.set({ conversation: next, notice: "" });
    if (next.settings.model === "" && this.state.models[0] !== undefined) this.change({ model: this.state.models[0].id });
  }

  private forget(id: string): void {
    this.open.delete(id);
    this.written.delete(id);
  }

  async delete(id: string): Promise<void> {
    this.stops.get(id)?.abort();
    if (this.state.conversation.id === id) this.create();
    this.forget(id);
    await this.enqueue(() => this.store.delete(id));
    this.set({ heads: this.state.heads.filter((h) => h.id !== id) });
  }

  change(settings: Partial<Settings>): void {
    const c = this.state.conversation;
    this.update(c.id, (c) => ({ ...c, settings: { ...c.settings, ...settings } }), c.leaf !== null);
  }

  select(node: string): void {
    this.update(this.state.conversation.id, (c) => select(c, node), true);
  }

  /** export is a file of one conversation, or of all. */
  async export(id?: string): Promise<string> {
    await this.saveAll();
    const found = await Promise.all((id === undefined ? this.state.heads : [{ id }]).map((h) => this.open.get(h.id) ?? this.store.read(h.id)));
    return exportConversations(found.filter((c) => c !== undefined));
  }

  /** import adds the conversations of a file and shows the first. */
  async import(json: string): Promise<void> {
    try {
      const found = importConversations(json);
      for (const c of found) await this.enqueue(() => this.store.write(c));
      this.set({ heads: await this.store.heads() });
      if (found[0] !== undefined) await this.show(found[0].id);
      this.notify(found.length === 1 ? "One conversation was imported." : `${found.length} conversations were imported.`);
    } catch (error) {
      this.notify(error instanceof Error ? error.message : "The file can't be imported.");
    }
  }

  // Turns.

  /** send says something below the current message, or in the place of another one, which makes a branch. It reports whether it could. */
  send(parts: Part[], instead?: { parent: string | null }): boolean {
    const { conversation: c } = this.state;
    if (this.stops.has(c.id) || !this.canBuild(c)) return false;
    const parent = instead === undefined ? c.leaf : instead.parent;
    this.update(c.id, (c) => append(skipOpen(c, parent), { kind: "user", id: newID(), parent, created: Date.now(), parts }), true);
    void this.turn(c.id);
    return true;
  }

  /** again asks for another answer in the place of this one. */
  again(answer: AnswerNode): void {
    const { conversation: c } = this.state;
    if (this.stops.has(c.id) || answer.parent === null || !this.canBuild(c)) return;
    this.update(c.id, (c) => ({ ...c, leaf: answer.parent }), false);
    void this.turn(c.id);
  }

  /** goOn asks for what comes after an answer whose calls all have results. */
  goOn(): void {
    const { conversation: c } = this.state;
    if (!this.stops.has(c.id) && this.canBuild(c)) void this.turn(c.id);
  }

  /** giveResult is the person's answer to a call. The last one starts the next turn. */
  giveResult(answer: string, call: string, content: string): void {
    const id = this.state.conversation.id;
    this.putResult(id, answer, call, { content, by: "person" });
    const node = this.open.get(id)?.nodes[answer];
    if (node?.kind === "answer" && openCalls(node).length === 0) this.goOn();
  }

  stop(): void {
    this.stops.get(this.state.conversation.id)?.abort();
  }

  /** request is what was sent for an answer, or would be sent now for a new one. */
  request(answer?: AnswerNode): ChatRequest {
    const c = this.state.conversation;
    return answer === undefined ? buildRequest(c.settings, path(c)) : buildRequest(answer.settings, path(c, answer.parent));
  }

  /** events are those of an answer's stream, as they came; undefined once the page was loaded anew or many others came. */
  events(answer: string): readonly string[] | undefined {
    return this.raw.get(answer)?.data;
  }

  private canBuild(c: Conversation): boolean {
    try {
      buildRequest(c.settings, path(c));
      this.notify("");
      return true;
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      this.notify(error.message);
      return false;
    }
  }

  /** turn asks for answers until one has no calls or waits for the person. */
  private async turn(id: string): Promise<void> {
    const stop = new AbortController();
    this.stops.set(id, stop);
    this.set({ running: new Set(this.stops.keys()) });
    try {
      for (let round = 1; await this.answer(id, stop.signal); round++) {
        if (round === maxRounds) {
          this.notify(`The page's tools were run ${maxRounds} times in a row. "Go on" runs them further.`);
          break;
        }
      }
    } finally {
      this.stops.delete(id);
      this.set({ running: new Set(this.stops.keys()) });
      await this.save(id);
      if (this.state.conversation.id !== id) this.forget(id);
    }
  }

  /** answer asks for one answer and runs the page's tools. It reports whether the results are there and another turn is due. */
  private async answer(id: string, signal: AbortSignal): Promise<boolean> {
    const c = this.open.get(id);
    if (c === undefined) return false;
    const request = buildRequest(c.settings, path(c));
    const draft = new Draft(c, Date.now());
    this.update(id, (c) => append(c, draft.node), true);
    await this.receive(id, draft, request, signal);
    const node = this.open.get(id)?.nodes[draft.node.id];
    if (node?.kind !== "answer" || node.state !== "done" || node.calls.length === 0) return false;
    await Promise.all(node.calls.map((call) => this.runInPage(id, node.id, call, signal)));
    const after = this.open.get(id)?.nodes[node.id];
    return !signal.aborted && after?.kind === "answer" && openCalls(after).length === 0;
  }

  private async receive(id: string, draft: Draft, request: ChatRequest, signal: AbortSignal): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let keeping: ReturnType<typeof setTimeout> | undefined;
    const draw = () => {
      timer = undefined;
      this.update(id, (c) => replace(c, draft.take()), false);
      // What is shown is kept soon after, also when nothing more comes: the page may be reloaded meanwhile.
      keeping ??= setTimeout(() => {
        keeping = undefined;
        void this.save(id);
      }, keepEvery);
    };
    try {
      for await (const event of streamChat(this.base, request, this.key.get(), signal)) {
        if (event.kind === "raw") this.note(draft.node.id, event.data);
        else draft.add(event);
        timer ??= setTimeout(draw, drawEvery);
      }
      draft.end("done");
    } catch (error) {
      if (isAbort(error)) draft.end("stopped");
      else draft.end("failed", asFailure(error));
    } finally {
      clearTimeout(timer);
      clearTimeout(keeping);
      this.update(id, (c) => replace(c, draft.take()), true);
    }
  }

  private note(answer: string, data: string): void {
    const raw = this.raw.get(answer) ?? { data: [], size: 0 };
    this.raw.set(answer, raw);
    for (const oldest of this.raw.keys()) {
      if (this.raw.size <= maxRawAnswers) break;
      this.raw.delete(oldest);
    }
    if (raw.size > maxRaw) return;
    raw.size += data.length;
    raw.data.push(raw.size > maxRaw ? "… (what follows is not kept)" : data);
  }

  private async runInPage(id: string, answer: string, call: ToolCall, signal: AbortSignal): Promise<void> {
    const tool = this.open.get(id)?.settings.pageTools.includes(call.name) ? pageTool(call.name) : undefined;
    if (tool === undefined) return; // the person's
    const content = await run(tool, call, { root: this.root, signal });
    if (!signal.aborted) this.putResult(id, answer, call.id, { content, by: "page" });
  }

  private putResult(id: string, answer: string, call: string, result: ToolResult): void {
    this.update(id, (c) => {
      const node = c.nodes[answer];
      return node?.kind !== "answer" ? c : replace(c, { ...node, results: { ...node.results, [call]: result } });
    }, true);
  }

  // State.

  private set(changes: Partial<State>): void {
    this.state = { ...this.state, ...changes };
    for (const listener of this.listeners) listener();
  }

  /** update changes an open conversation. keep says whether it is written at once; what isn't is written with the next that is. */
  private update(id: string, change: (c: Conversation) => Conversation, keep: boolean): void {
    const before = this.open.get(id);
    if (before === undefined) return; // it was deleted
    const after = change(before);
    this.open.set(id, after);
    if (this.state.conversation.id === id) this.set({ conversation: after });
    if (keep) void this.save(id);
  }

  /** saveAll writes what isn't yet. The page calls it when it is about to be closed. */
  async saveAll(): Promise<void> {
    await Promise.all([...this.open.values()].filter((c) => c.leaf !== null).map((c) => this.save(c.id)));
  }

  private save(id: string): Promise<void> {
    return this.enqueue(async () => {
      const c = this.open.get(id);
      const before = this.written.get(id);
      if (c === undefined || c === before) return;
      await this.store.write(c, before);
      if (this.open.has(id)) this.written.set(id, c);
      const { nodes: _, ...head } = c;
      const heads = [head, ...this.state.heads.filter((h) => h.id !== id)].sort((a, b) => b.updated - a.updated);
      this.set({ heads });
    });
  }

  /** enqueue does one thing with the store after the other. */
  private enqueue(job: () => Promise<void>): Promise<void> {
    this.writing = this.writing.then(job).catch(() => this.notify("The browser can't keep this conversation. Export it before you close the page."));
    return this.writing;
  }
}

/** skipOpen gives the calls of an answer that nobody has answered the result that they were not run: the person goes on without. */
function skipOpen(c: Conversation, answer: string | null): Conversation {
  const node = answer === null ? undefined : c.nodes[answer];
  if (node?.kind !== "answer") return c;
  const skipped = openCalls(node).map((call): [string, ToolResult] => [call.id, { content: "The user did not run this tool.", by: "skipped" }]);
  return skipped.length === 0 ? c : replace(c, { ...node, results: { ...node.results, ...Object.fromEntries(skipped) } });
}

function asFailure(error: unknown): Failure {
  return error instanceof ApiError ? error.failure : { message: "Something went wrong in the page: " + (error instanceof Error ? error.message : String(error)) };
}

/** A Draft is an answer on its way. It takes events as fast as they come; the page draws it less often. */
class Draft {
  node: AnswerNode;
  private readonly began = performance.now();

  constructor(c: Conversation, now: number) {
    this.node = {
      kind: "answer", id: newID(), parent: c.leaf, created: now, state: "streaming",
      text: "", reasoning: "", refusal: "", calls: [], results: {}, facts: {}, settings: c.settings,
    };
  }

  /** take is the answer so far, as a value that does not change any more. */
  take(): AnswerNode {
    return (this.node = { ...this.node });
  }

  add(event: Exclude<StreamEvent, { kind: "raw" }>): void {
    const { node } = this;
    switch (event.kind) {
      case "accepted":
        node.facts = { ...node.facts, resume: event.resume, upstream: event.upstream, model: event.model, requestID: event.requestID };
        return;
      case "text":
      case "reasoning":
      case "refusal":
        this.first();
        node[event.kind] += event.text;
        return;
      case "call":
        this.first();
        node.calls = withPiece(node.calls, event);
        return;
      case "finish":
        node.facts = { ...node.facts, finish: event.reason };
        return;
      case "usage":
        node.facts = { ...node.facts, usage: event.usage };
    }
  }

  private first(): void {
    if (this.node.facts.firstToken === undefined) this.node.facts = { ...this.node.facts, firstToken: performance.now() - this.began };
  }

  end(state: "done" | "stopped" | "failed", failure?: Failure): void {
    this.node.state = state;
    this.node.facts = { ...this.node.facts, duration: performance.now() - this.began };
    if (failure !== undefined) {
      this.node.failure = failure;
      if (failure.requestID !== undefined) this.node.facts.requestID = failure.requestID;
    }
    // Calls of an answer that broke off may lack the end of their arguments.
    if (state !== "done") this.node.calls = [];
  }
}

function withPiece(calls: ToolCall[], piece: Extract<StreamEvent, { kind: "call" }>): ToolCall[] {
  const at = Math.min(piece.index, calls.length);
  const call = calls[at] ?? { id: "", name: "", arguments: "" };
  const next = [...calls];
  next[at] = { id: piece.id ?? call.id, name: piece.name ?? call.name, arguments: call.arguments + (piece.arguments ?? "") };
  return next;
}
