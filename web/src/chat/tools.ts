/**
 * The tools that run in the page. A model can call them without anybody's help, so each must be harmless: none sends the
 * key, leaves this server, or changes anything.
 */
import { calculate } from "./calculator.ts";
import type { ToolCall } from "./conversation.ts";

export interface PageTool {
  name: string;
  title: string; // for the person
  description: string; // for the model
  parameters: object; // a JSON schema
  run(args: Record<string, unknown>, context: Context): Promise<string>;
}

/** A Context is what a tool may need of the page: what stands before the server's paths, and when to stop. */
export interface Context {
  root: string;
  signal: AbortSignal;
}

/** How much of a page the model gets, in characters. */
const maxPage = 20_000;

export const pageTools: readonly PageTool[] = [
  {
    name: "clock",
    title: "Clock",
    description: "Tells the date and the time of the user's device.",
    parameters: {
      type: "object",
      properties: { time_zone: { type: "string", description: "An IANA time zone such as Europe/Berlin. Default: the user's own." } },
      additionalProperties: false,
    },
    async run(args) {
      return clock(new Date(), typeof args["time_zone"] === "string" && args["time_zone"] !== "" ? args["time_zone"] : undefined);
    },
  },
  {
    name: "calculator",
    title: "Calculator",
    description: "Calculates an arithmetic expression, such as 2*(3+4)^2 or sqrt(2)*sin(pi/4).",
    parameters: {
      type: "object",
      properties: { expression: { type: "string" } },
      required: ["expression"],
      additionalProperties: false,
    },
    async run(args) {
      if (typeof args["expression"] !== "string") throw new Error("'expression' must be a string.");
      return String(calculate(args["expression"]));
    },
  },
  {
    name: "fetch_page",
    title: "Fetch a page of this server",
    description: "Reads a page of the server that this playground belongs to, as text. Useful paths: / (the home page), /docs, /openapi.json, /readyz.",
    parameters: {
      type: "object",
      properties: { path: { type: "string", description: "The path, which begins with a slash." } },
      required: ["path"],
      additionalProperties: false,
    },
    run: (args, context) => fetchPage(args["path"], context),
  },
];

/** pageTool is the tool of that name. */
export function pageTool(name: string): PageTool | undefined {
  return pageTools.find((t) => t.name === name);
}

/** run carries out a call of a page's tool. It doesn't fail: an error is a result that the model can read. */
export async function run(tool: PageTool, call: ToolCall, context: Context): Promise<string> {
  try {
    const args: unknown = JSON.parse(call.arguments === "" ? "{}" : call.arguments);
    if (typeof args !== "object" || args === null || Array.isArray(args)) throw new Error("The arguments must be a JSON object.");
    return await tool.run(args as Record<string, unknown>, context);
  } catch (error) {
    return "Error: " + (error instanceof Error ? error.message : "the tool failed.");
  }
}

/** clock is now as a sentence, with the zone's name and its distance from UTC. */
export function clock(now: Date, timeZone?: string): string {
  const zone = timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  const format = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long", timeZone: zone });
  return `${format.format(now)} (${zone}); in UTC: ${now.toISOString()}`;
}

/** samePage is the address of a path of this server. Whatever leads elsewhere is refused. */
export function samePage(path: unknown, origin: string, root: string): URL {
  if (typeof path !== "string" || !path.startsWith("/")) throw new Error("'path' must begin with a slash.");
  const url = new URL(root + path, origin);
  if (url.origin !== origin || !url.pathname.startsWith(root + "/")) throw new Error("Only pages of this server can be fetched.");
  return url;
}

async function fetchPage(path: unknown, { root, signal }: Context): Promise<string> {
  const url = samePage(path, location.origin, root);
  // Neither a cookie nor a key goes with it, and a redirect could lead away.
  const response = await fetch(url, { credentials: "omit", redirect: "error", signal, headers: { Accept: "text/html, application/json, text/plain" } });
  const body = await response.text();
  const html = response.headers.get("Content-Type")?.startsWith("text/html") ?? false;
  const found = (html ? pageText(body) : body).slice(0, maxPage);
  return response.ok ? found : `Status ${response.status}: ${found}`;
}

function pageText(html: string): string {
  const page = new DOMParser().parseFromString(html, "text/html"); // inert: it loads and runs nothing
  for (const element of page.querySelectorAll("script, style, template")) element.remove();
  return (page.body.textContent ?? "").replace(/[ \t]+/g, " ").replace(/\s*\n\s*/g, "\n").trim();
}
