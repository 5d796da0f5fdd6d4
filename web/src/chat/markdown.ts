/**
 * Markdown of a model as HTML. Nothing that the model writes is trusted: HTML in its text is shown as text, DOMPurify
 * goes over what Markdown has made of the rest, and no image is loaded from elsewhere, because an address can carry away
 * what was said.
 */
import DOMPurify from "dompurify";
import { Marked, type Token, type Tokens } from "marked";

/** A Block is a paragraph, a list, a table … as HTML, or code. source is its Markdown. */
export type Block = { kind: "html"; source: string; html: string } | { kind: "code"; source: string; language: string; code: string; closed: boolean };

/** A picture that a model has drawn itself, byte by byte. */
const picture = /^data:image\/(?:png|jpeg|gif|webp);base64,/i;

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => escape(text),
    image: ({ href, text }) =>
      picture.test(href) ? `<img src="${escape(href)}" alt="${escape(text)}">` : `<a href="${escape(href)}">${escape(text || href)}</a>`,
    // Above those of an answer the page has headings of two levels.
    heading({ tokens, depth }) {
      const level = Math.min(6, depth + 2);
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

/** What may be left. No style and no class: the security policy forbids the first, and the second would let a text look like the page. */
const allowed = {
  ALLOWED_TAGS: ["p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "em", "strong", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a", "img", "table", "thead", "tbody", "tr", "th", "td"],
  ALLOWED_ATTR: ["href", "src", "alt", "align", "start"],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i, // of links; DOMPurify lets data through in an image, and which data is decided above
};

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName !== "A") return;
  // The other page learns neither this one's address nor its window.
  node.setAttribute("rel", "noopener noreferrer nofollow");
  node.setAttribute("target", "_blank");
});

function escape(s: string): string {
  return s.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** How many of the last blocks may still change when the text grows: a paragraph may become a table or a heading's first line. */
const unsettled = 2;

/**
 * A Renderer renders a text that grows. Blocks that can't change any more are kept, so that the work for a long answer is
 * in all linear in its length, as long as its blocks are short.
 */
export class Renderer {
  private settled: Block[] = [];
  private done = ""; // the text of the settled blocks
  private depths: number[] = []; // those of the settled headings that the next one is below

  /** render returns the blocks of text. Those that did not change are the same values as the last time. */
  render(text: string, over: boolean): Block[] {
    if (!text.startsWith(this.done)) [this.settled, this.done, this.depths] = [[], "", []];
    const tokens = marked.lexer(text.slice(this.done.length));
    // The lexer may have changed line ends or tabs; then what its tokens hold isn't what the text holds, and nothing is settled.
    const firm = Math.max(0, tokens.length - unsettled);
    const raw = tokens.slice(0, firm).map((t) => t.raw).join("");
    let unfirm = tokens;
    if (firm > 0 && text.startsWith(raw, this.done.length)) {
      this.settled = [...this.settled, ...tokens.slice(0, firm).flatMap((t) => block(level(t, this.depths), true))];
      this.done += raw;
      unfirm = tokens.slice(firm) as typeof tokens;
    }
    const depths = [...this.depths];
    return [...this.settled, ...unfirm.flatMap((t) => block(level(t, depths), over))];
  }
}

/** level gives headings levels without gaps, which is what people who hear a page find their way by. depths grows with each heading. */
function level(token: Token, depths: number[]): Token {
  if (token.type !== "heading") return token;
  while ((depths.at(-1) ?? 0) >= token["depth"]) depths.pop();
  depths.push(token["depth"]);
  return { ...token, depth: depths.length };
}

function block(token: Token, over: boolean): Block[] {
  if (token.type === "space" || token.type === "def") return [];
  if (token.type === "code") {
    const code = token as Tokens.Code;
    return [{ kind: "code", source: code.raw, language: code.lang?.match(/^[\w+#.-]+/)?.[0] ?? "", code: code.text, closed: over || /\n[ ]{0,3}(`{3,}|~{3,})[ ]*\n*$/.test(code.raw) }];
  }
  const html = DOMPurify.sanitize(marked.parser([token]), allowed);
  return html.trim() === "" ? [] : [{ kind: "html", source: token.raw, html }];
}

/** sanitizeColours lets only the marks of code colours through. */
export function sanitizeColours(html: string): string {
  return DOMPurify.sanitize(html, { ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"] });
}
