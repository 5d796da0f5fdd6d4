/** Makes the request of a turn out of a conversation's path and its settings: POST /v1/chat/completions. */
import { type AnswerNode, type HandTool, type Node, type Settings, text } from "./conversation.ts";
import { pageTools } from "./tools.ts";

export type ContentPart = { type: "text"; text: string } | { type: "image_url"; image_url: { url: string } };

export type ChatMessage =
  | { role: "system"; content: string }
  | { role: "user"; content: string | ContentPart[] }
  | { role: "assistant"; content: string | null; tool_calls?: { id: string; type: "function"; function: { name: string; arguments: string } }[] }
  | { role: "tool"; tool_call_id: string; content: string };

export interface ChatRequest {
  model: string;
  messages: ChatMessage[];
  stream: true;
  stream_options: { include_usage: true };
  max_completion_tokens?: number;
  stop?: string[];
  response_format?: { type: "json_schema"; json_schema: { name: string; strict: true; schema: object } };
  tools?: { type: "function"; function: { name: string; description: string; parameters: object } }[];
  parallel_tool_calls?: false;
}

/** A SettingsError says which setting can't be used, in a sentence for the person. */
export class SettingsError extends Error {
  constructor(readonly field: keyof Settings, message: string) {
    super(message);
  }
}

/** buildRequest is the request whose answer comes after path. It throws a SettingsError. */
export function buildRequest(settings: Settings, path: Node[]): ChatRequest {
  const request: ChatRequest = { model: settings.model, messages: messages(settings.system, path), stream: true, stream_options: { include_usage: true } };
  if (settings.maxTokens !== null) request.max_completion_tokens = settings.maxTokens;
  if (settings.stop.length > 0) request.stop = settings.stop;
  if (settings.schema.trim() !== "") {
    const schema = parseObject(settings.schema);
    if (schema === undefined) throw new SettingsError("schema", "The JSON schema is not a JSON object.");
    request.response_format = { type: "json_schema", json_schema: { name: "answer", strict: true, schema } };
  }
  const tools = offered(settings);
  if (tools.length > 0) {
    request.tools = tools;
    if (!settings.parallel) request.parallel_tool_calls = false;
  }
  return request;
}

function offered(settings: Settings): NonNullable<ChatRequest["tools"]> {
  const inPage = pageTools.filter((t) => settings.pageTools.includes(t.name));
  return [
    ...inPage.map(({ name, description, parameters }) => ({ type: "function" as const, function: { name, description, parameters } })),
    ...settings.handTools.map((t) => ({ type: "function" as const, function: { name: t.name, description: t.description, parameters: handParameters(t) } })),
  ];
}

function handParameters(tool: HandTool): object {
  if (tool.parameters.trim() === "") return { type: "object", properties: {} };
  const schema = parseObject(tool.parameters);
  if (schema === undefined) throw new SettingsError("handTools", `The parameters of the tool ${tool.name} are not a JSON object.`);
  return schema;
}

/** parseObject reads a JSON object; undefined is anything else. */
export function parseObject(json: string): object | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function messages(system: string, path: Node[]): ChatMessage[] {
  const found: ChatMessage[] = system.trim() === "" ? [] : [{ role: "system", content: system }];
  for (const node of path) {
    if (node.kind === "answer") found.push(...answer(node));
    else if (node.parts.every((p) => p.type === "text")) found.push({ role: "user", content: text(node.parts) });
    else found.push({ role: "user", content: node.parts.map((p): ContentPart => (p.type === "text" ? p : { type: "image_url", image_url: { url: p.url } })) });
  }
  return found;
}

/** What stands for the result of a call that nobody has answered: a call without a result is refused by OpenAI's API. */
const skipped = "The user did not run this tool.";

function answer(node: AnswerNode): ChatMessage[] {
  const content = node.text !== "" ? node.text : node.refusal;
  if (node.calls.length === 0) return content === "" ? [] : [{ role: "assistant", content }];
  return [
    {
      role: "assistant",
      content: content === "" ? null : content,
      tool_calls: node.calls.map((c) => ({ id: c.id, type: "function", function: { name: c.name, arguments: c.arguments } })),
    },
    ...node.calls.map((c): ChatMessage => ({ role: "tool", tool_call_id: c.id, content: node.results[c.id]?.content ?? skipped })),
  ];
}
