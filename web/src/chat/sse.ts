/**
 * Reads server-sent events from a stream of bytes: https://html.spec.whatwg.org/multipage/server-sent-events.html. The
 * browser's own EventSource can't be used: it knows no POST and no headers.
 */

/** The longest event that is taken, in characters. A server that sends more is not ours. */
const maxEvent = 16 << 20;

/** An SSEParser takes a stream's text in pieces, however they were cut, and gives the data of each whole event. */
export class SSEParser {
  private rest = ""; // a line that has not ended yet
  private data: string[] = []; // the data lines of an event that has not ended yet
  private size = 0; // the characters in data
  private afterCR = false; // the last piece ended with a CR, whose LF may come with the next

  /** push takes a piece and returns the data of the events that it completes. Comments and other fields are left out. */
  push(piece: string): string[] {
    if (piece === "") return [];
    if (this.afterCR && piece.startsWith("\n")) piece = piece.slice(1);
    this.afterCR = piece.endsWith("\r");
    const events: string[] = [];
    const lines = piece.split(/\r\n|\n|\r/);
    lines[0] = this.rest + lines[0];
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.line(line, events);
    if (this.rest.length + this.size > maxEvent) throw new Error("an event is too long");
    return events;
  }

  private line(line: string, events: string[]): void {
    if (line === "") {
      if (this.data.length > 0) events.push(this.data.join("\n"));
      this.data = [];
      this.size = 0;
    } else if (line === "data" || line.startsWith("data:")) {
      const value = line.slice("data:".length);
      this.data.push(value.startsWith(" ") ? value.slice(1) : value);
      this.size += value.length;
    }
  }
}

/** events yields the data of each event of a body. Leaving the loop cancels the body. */
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new SSEParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return; // what has no empty line after it is no event
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    // After an error there is nothing left to cancel.
    await reader.cancel().catch(() => undefined);
  }
}
