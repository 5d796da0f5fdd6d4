/** What a request asks for besides its messages. */
import { useState } from "preact/hooks";
import { exampleSchema } from "../beginnings.ts";
import type { Chat } from "../chat.ts";
import type { HandTool, Settings } from "../conversation.ts";
import { parseObject } from "../request.ts";
import { pageTool, pageTools } from "../tools.ts";
import { Field } from "./base.tsx";

export function SettingsPanel({ chat, settings }: { chat: Chat; settings: Settings }) {
  const change = (s: Partial<Settings>) => chat.change(s);
  return (
    <>
      <Field label="System text" id="system">
        <textarea id="system" rows={3} value={settings.system} onInput={(e) => change({ system: e.currentTarget.value })} />
      </Field>
      <Field label="Max tokens" id="max-tokens" hint="Of the answer. Empty: no limit.">
        <input
          id="max-tokens" type="number" min={1} step={1} inputMode="numeric" aria-describedby="max-tokens-hint" value={settings.maxTokens ?? ""}
          onInput={(e) => change({ maxTokens: e.currentTarget.value === "" ? null : Math.max(1, Math.floor(e.currentTarget.valueAsNumber)) })}
        />
      </Field>
      <Field label="Stop sequences" id="stop" hint="One a line, four at most. The answer ends before the first of them.">
        <textarea id="stop" rows={2} aria-describedby="stop-hint" value={settings.stop.join("\n")} onChange={(e) => change({ stop: e.currentTarget.value.split("\n").filter((s) => s !== "") })} />
      </Field>
      <Field label="JSON schema" id="schema" hint="The answer is then JSON that fits, and is checked here.">
        <textarea
          id="schema" class="mono" rows={4} spellcheck={false} aria-describedby="schema-hint schema-problem" value={settings.schema}
          aria-invalid={settings.schema.trim() !== "" && parseObject(settings.schema) === undefined} onInput={(e) => change({ schema: e.currentTarget.value })}
        />
        <p class="hint bad" id="schema-problem">{settings.schema.trim() !== "" && parseObject(settings.schema) === undefined ? "This is not a JSON object yet." : ""}</p>
        {settings.schema === "" && <button type="button" class="plain" onClick={() => change({ schema: exampleSchema })}>Put in an example</button>}
      </Field>
      <fieldset>
        <legend>Tools that the page runs</legend>
        {pageTools.map((tool) => (
          <label class="check" key={tool.name}>
            <input
              type="checkbox" checked={settings.pageTools.includes(tool.name)}
              onChange={(e) => change({ pageTools: e.currentTarget.checked ? [...settings.pageTools, tool.name] : settings.pageTools.filter((n) => n !== tool.name) })}
            />
            {tool.title}
          </label>
        ))}
      </fieldset>
      <HandTools tools={settings.handTools} change={(handTools) => change({ handTools })} />
      {(settings.pageTools.length > 0 || settings.handTools.length > 0) && (
        <label class="check">
          <input type="checkbox" checked={settings.parallel} onChange={(e) => change({ parallel: e.currentTarget.checked })} />
          Allow several calls at once
        </label>
      )}
    </>
  );
}

const newTool: HandTool = {
  name: "", description: "", parameters: `{
  "type": "object",
  "properties": {
    "city": { "type": "string" }
  },
  "required": ["city"]
}`,
};

/** HandTools are the tools that the person answers. */
function HandTools({ tools, change }: { tools: HandTool[]; change: (tools: HandTool[]) => void }) {
  const [edited, edit] = useState<number | undefined>(undefined); // the number of the tool in the form; tools.length is a new one
  return (
    <fieldset>
      <legend>Tools that you answer</legend>
      <p class="hint">The model calls them, and you write what they return.</p>
      <ul class="tools">
        {tools.map((tool, i) => (
          <li key={tool.name}>
            <code>{tool.name}</code>
            <button type="button" class="plain" aria-label={`Edit the tool ${tool.name}`} onClick={() => edit(i)}>Edit</button>
            <button type="button" class="plain" aria-label={`Remove the tool ${tool.name}`} onClick={() => change(tools.filter((_, other) => other !== i))}>Remove</button>
          </li>
        ))}
      </ul>
      {edited === undefined ? (
        <button type="button" class="quiet" onClick={() => edit(tools.length)}>Define a tool</button>
      ) : (
        <ToolForm
          tool={tools[edited] ?? newTool} taken={[...pageTools.map((t) => t.name), ...tools.filter((_, i) => i !== edited).map((t) => t.name)]} close={() => edit(undefined)}
          save={(tool) => { change(edited === tools.length ? [...tools, tool] : tools.map((t, i) => (i === edited ? tool : t))); edit(undefined); }}
        />
      )}
    </fieldset>
  );
}

/** What names of tools OpenAI's API takes. */
const toolName = /^[a-zA-Z0-9_-]{1,64}$/;

function ToolForm({ tool, taken, save, close }: { tool: HandTool; taken: string[]; save: (t: HandTool) => void; close: () => void }) {
  const [draft, set] = useState(tool);
  const [problem, setProblem] = useState("");
  const done = () => {
    if (!toolName.test(draft.name)) setProblem("A name has letters, digits, _ and -, 64 at most.");
    else if (taken.includes(draft.name)) setProblem(pageTool(draft.name) ? "A tool of the page has this name." : "Another tool has this name.");
    else if (draft.parameters.trim() !== "" && parseObject(draft.parameters) === undefined) setProblem("The parameters are not a JSON object.");
    else save(draft);
  };
  // Not a form: it would be one inside of another when the panel becomes one.
  return (
    <div class="tool-form" role="group" aria-label="A tool" onKeyDown={(e) => { if (e.key === "Escape") { e.stopPropagation(); close(); } }}>
      <Field label="Name" id="tool-name">
        <input id="tool-name" type="text" autocomplete="off" spellcheck={false} value={draft.name} ref={(e) => { if (e && !e.dataset["seen"]) { e.dataset["seen"] = "1"; e.focus(); } }} onInput={(e) => set({ ...draft, name: e.currentTarget.value })} />
      </Field>
      <Field label="What it does, for the model" id="tool-description">
        <input id="tool-description" type="text" value={draft.description} onInput={(e) => set({ ...draft, description: e.currentTarget.value })} />
      </Field>
      <Field label="Parameters (JSON schema)" id="tool-parameters">
        <textarea id="tool-parameters" class="mono" rows={6} spellcheck={false} value={draft.parameters} onInput={(e) => set({ ...draft, parameters: e.currentTarget.value })} />
      </Field>
      <p class="hint bad" role="alert">{problem}</p>
      <div class="row">
        <button type="button" onClick={done}>Save the tool</button>
        <button type="button" class="quiet" onClick={close}>Cancel</button>
      </div>
    </div>
  );
}
