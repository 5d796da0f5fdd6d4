/** A request as code that a person can run. The key is never in it: it is read from the environment. */
import type { ChatRequest } from "./request.ts";

export type Language = "curl" | "python" | "typescript";

/** The environment variable that the code reads the key from. */
const keyVariable = "COMPOSER_API_KEY";

/** Longer image data is shortened in what is shown: nobody reads it, and a page of it hides the rest. */
const maxImage = 200;

/** showAs is request as code for the API at base. short leaves most of the images' data out, which makes the code one to read. */
export function showAs(language: Language, request: ChatRequest, base: string, short: boolean): string {
  const body = short ? shortened(request) : request;
  return { curl, python, typescript }[language](body, base);
}

/** hasLongImage reports whether there is image data that showAs shortens. */
export function hasLongImage(request: ChatRequest): boolean {
  return JSON.stringify(shortened(request)) !== JSON.stringify(request);
}

function shortened(request: ChatRequest): ChatRequest {
  const cut = (_: string, value: unknown) =>
    typeof value === "string" && value.startsWith("data:") && value.length > maxImage ? value.slice(0, 60) + "…" : value;
  return JSON.parse(JSON.stringify(request, cut)) as ChatRequest;
}

function curl(request: ChatRequest, base: string): string {
  const json = JSON.stringify(request, null, 2);
  return [
    `curl -N ${shell(base + "/chat/completions")} \\`,
    `  -H "Authorization: Bearer $${keyVariable}" \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -d ${shell(json)}`,
  ].join("\n");
}

/** shell quotes for a POSIX shell. */
function shell(s: string): string {
  return "'" + s.replaceAll("'", `'\\''`) + "'";
}

function typescript(request: ChatRequest, base: string): string {
  const { stream, stream_options, ...rest } = request;
  const args = JSON.stringify({ ...rest, stream, stream_options }, null, 2);
  return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${JSON.stringify(base)}, apiKey: process.env.${keyVariable} });

const stream = await client.chat.completions.create(${args});

for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta.content ?? "");
}
`;
}

function python(request: ChatRequest, base: string): string {
  const args = Object.entries(request).map(([name, value]) => `    ${name}=${literal(value, 1)},`);
  return `import os

from openai import OpenAI

client = OpenAI(base_url=${literal(base, 0)}, api_key=os.environ["${keyVariable}"])

stream = client.chat.completions.create(
${args.join("\n")}
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
`;
}

/** literal is a JSON value in Python. A JSON string is a string there, too, but for surrogates, which JSON.stringify leaves whole. */
function literal(value: unknown, depth: number): string {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return JSON.stringify(value).replaceAll("\u007f", "\\u007f");
  if (typeof value !== "object") return String(value);
  const inner = "    ".repeat(depth + 1);
  const outer = "    ".repeat(depth);
  const items = Array.isArray(value)
    ? value.map((v) => literal(v, depth + 1))
    : Object.entries(value).map(([k, v]) => `${literal(k, 0)}: ${literal(v, depth + 1)}`);
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  return items.length === 0 ? open + close : `${open}\n${items.map((i) => inner + i + ",\n").join("")}${outer}${close}`;
}
