/** Colours for code: the languages that people ask coding models for. */
import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import csharp from "highlight.js/lib/languages/csharp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import json from "highlight.js/lib/languages/json";
import kotlin from "highlight.js/lib/languages/kotlin";
import markdown from "highlight.js/lib/languages/markdown";
import php from "highlight.js/lib/languages/php";
import python from "highlight.js/lib/languages/python";
import ruby from "highlight.js/lib/languages/ruby";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import swift from "highlight.js/lib/languages/swift";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { sanitizeColours } from "./markdown.ts";

const languages = { bash, c, cpp, csharp, css, diff, go, java, json, kotlin, markdown, php, python, ruby, rust, sql, swift, typescript, xml, yaml };
for (const [name, grammar] of Object.entries(languages)) hljs.registerLanguage(name, grammar);
// JavaScript and JSX are written in TypeScript's grammar, which spares a second one of the same size.
hljs.registerAliases(["js", "jsx", "mjs", "cjs", "javascript"], { languageName: "typescript" });
hljs.registerAliases(["shell", "console"], { languageName: "bash" });

/** Longer code stays without colours: they would hold the page up. */
const maxHighlighted = 100_000;

/** highlight is code as HTML with marks for its colours; undefined for an unknown language. */
export function highlight(code: string, language: string): string | undefined {
  if (code.length > maxHighlighted || hljs.getLanguage(language) === undefined) return undefined;
  return sanitizeColours(hljs.highlight(code, { language, ignoreIllegals: true }).value);
}
