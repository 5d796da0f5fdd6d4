/**
 * What a screen reader hears of a streamed answer. Every word as it comes would be a stammer, and the whole at the end a
 * silence, so it is told sentence by sentence.
 */

/** Where a sentence ends: a full stop and the like before white space, or the end of a line. */
const boundary = /[.!?:…](?=\s)|\n/g;

/** A sentence without an end is cut here, in characters. */
const maxChunk = 400;

/** nextChunk is how much of text, from index said on, can be told now: whole sentences, or everything when the answer is over. */
export function nextChunk(text: string, said: number, over: boolean): { chunk: string; said: number } {
  let end = over ? text.length : said;
  if (!over) {
    boundary.lastIndex = said;
    for (let m = boundary.exec(text); m !== null; m = boundary.exec(text)) end = m.index + 1;
    if (end === said && text.length - said > maxChunk) end = said + maxChunk;
  }
  return { chunk: spoken(text.slice(said, end)), said: end };
}

/** spoken is Markdown without the marks that a voice would read out. */
function spoken(markdown: string): string {
  return markdown.replace(/```.*|[*_`#>|]+/g, "").replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/\s+/g, " ").trim();
}
