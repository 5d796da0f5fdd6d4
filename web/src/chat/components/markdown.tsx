/** An answer's Markdown. */
import { useMemo, useRef } from "preact/hooks";
import { highlight } from "../highlight.ts";
import { type Block, Renderer } from "../markdown.ts";
import { Copy, memo } from "./base.tsx";

/** Markdown draws text, which may grow. over says that it will not any more. */
export const Markdown = memo(function Markdown({ text, over }: { text: string; over: boolean }) {
  const renderer = useRef<Renderer | null>(null);
  renderer.current ??= new Renderer();
  const blocks = renderer.current.render(text, over);
  return <div class="markdown">{blocks.map((b, i) => <OneBlock key={i} block={b} />)}</div>;
});

/** OneBlock trusts a block's HTML: markdown.ts has made it safe. */
const OneBlock = memo(function OneBlock({ block }: { block: Block }) {
  if (block.kind === "code") return <Code code={block.code} language={block.language} over={block.closed} />;
  // A wide table scrolls, for which the keyboard needs a place to go to.
  if (block.html.startsWith("<table")) return <div class="block wide" tabIndex={0} role="group" aria-label="Table" dangerouslySetInnerHTML={{ __html: block.html }} />;
  return <div class="block" dangerouslySetInnerHTML={{ __html: block.html }} />;
});

/** Code is a block of code with its language and a button that copies it. It gets its colours when it is complete: until then they would only flicker. */
export const Code = memo(function Code({ code, language, over }: { code: string; language: string; over: boolean }) {
  const html = useMemo(() => (over ? highlight(code, language.toLowerCase()) : undefined), [code, language, over]);
  const name = language === "" ? "code" : language;
  return (
    <figure class="code">
      <figcaption>
        <span>{name}</span>
        <Copy text={() => code} of={name} />
      </figcaption>
      <pre tabIndex={0} role="group" aria-label={`Code: ${name}`}>
        {html === undefined ? <code>{code}</code> : <code dangerouslySetInnerHTML={{ __html: html }} />}
      </pre>
    </figure>
  );
});
