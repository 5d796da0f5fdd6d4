/**
 * Where conversations are kept: IndexedDB, in this browser and nowhere else. Messages are rows of their own, so that an
 * answer on its way is written without the images that came before it.
 */
import type { Conversation, Node } from "./conversation.ts";

/** A Head is a conversation without its messages. */
export type Head = Omit<Conversation, "nodes">;

/** A Store keeps conversations. Its methods fail only when the browser does. */
export interface Store {
  /** heads are all conversations, the newest first. */
  heads(): Promise<Head[]>;
  read(id: string): Promise<Conversation | undefined>;
  /** write keeps a conversation; of its messages those that changed since before was written, and all without it. */
  write(c: Conversation, before?: Conversation): Promise<void>;
  delete(id: string): Promise<void>;
}

const conversations = "conversations";
const messages = "messages"; // key: [conversation, number in the conversation's order]

interface Row {
  conversation: string;
  order: number;
  node: Node;
}

/** openStore opens the store of this browser. It fails where there is none: some browsers have none in private windows. */
export async function openStore(): Promise<Store> {
  const opening = indexedDB.open("composer-api-playground", 1);
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore(conversations, { keyPath: "id" });
    opening.result.createObjectStore(messages, { keyPath: ["conversation", "order"] });
  };
  const db = await settled(opening);
  db.onversionchange = () => db.close(); // a newer page in another tab may change the schema
  return new BrowserStore(db);
}

class BrowserStore implements Store {
  constructor(private readonly db: IDBDatabase) {}

  async heads(): Promise<Head[]> {
    const found: Head[] = await settled(this.db.transaction(conversations).objectStore(conversations).getAll());
    return found.sort((a, b) => b.updated - a.updated);
  }

  async read(id: string): Promise<Conversation | undefined> {
    const tx = this.db.transaction([conversations, messages]);
    const [head, rows] = await Promise.all([
      settled<Head | undefined>(tx.objectStore(conversations).get(id)),
      settled<Row[]>(tx.objectStore(messages).getAll(all(id))),
    ]);
    return head && { ...head, nodes: Object.fromEntries(rows.map((r) => [r.node.id, r.node])) };
  }

  write(c: Conversation, before?: Conversation): Promise<void> {
    const tx = this.db.transaction([conversations, messages], "readwrite");
    const { nodes, ...head } = c;
    tx.objectStore(conversations).put(head);
    const rows = tx.objectStore(messages);
    // Messages are added at the end and never taken away, so each keeps its place.
    Object.values(nodes).forEach((node, order) => {
      if (before?.nodes[node.id] !== node) rows.put({ conversation: c.id, order, node } satisfies Row);
    });
    return committed(tx);
  }

  delete(id: string): Promise<void> {
    const tx = this.db.transaction([conversations, messages], "readwrite");
    tx.objectStore(conversations).delete(id);
    tx.objectStore(messages).delete(all(id));
    return committed(tx);
  }
}

/** all is the keys of a conversation's messages. An array comes after every number. */
function all(conversation: string): IDBKeyRange {
  return IDBKeyRange.bound([conversation], [conversation, []]);
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function committed(tx: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    tx.oncomplete = () => resolve();
    tx.onerror = tx.onabort = () => reject(tx.error);
  });
}

/** A MemoryStore keeps conversations until the page is closed. It is used where the browser has no store. */
export class MemoryStore implements Store {
  private readonly kept = new Map<string, Conversation>();
  async heads(): Promise<Head[]> {
    return [...this.kept.values()].sort((a, b) => b.updated - a.updated);
  }
  async read(id: string): Promise<Conversation | undefined> {
    return this.kept.get(id);
  }
  async write(c: Conversation): Promise<void> {
    this.kept.set(c.id, c);
  }
  async delete(id: string): Promise<void> {
    this.kept.delete(id);
  }
}
