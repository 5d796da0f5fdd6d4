/**
 * What a new conversation offers to begin with: a message, and the settings that it needs. In the demo a message is played
 * as a script (docs/simulation.md of the repository), so each shows one thing that the playground can do.
 */
import type { HandTool, Settings } from "./conversation.ts";

export interface Beginning {
  title: string;
  text: string;
  settings?: Partial<Settings>;
}

export const exampleSchema = `{
  "type": "object",
  "properties": {
    "answer": { "type": "string" },
    "confidence": { "type": "number", "minimum": 0, "maximum": 1 }
  },
  "required": ["answer", "confidence"],
  "additionalProperties": false
}`;

/** weather is a tool that the person answers. */
const weather: HandTool = {
  name: "get_weather",
  description: "Tells the weather in a city.",
  parameters: `{
  "type": "object",
  "properties": { "city": { "type": "string" } },
  "required": ["city"]
}`,
};

export const beginnings: readonly Beginning[] = [
  { title: "Explain a context window", text: "Explain what a context window is, in three sentences." },
  { title: "Write a function with a test", text: "Write a Go function that reverses a string, with a test." },
  { title: "Use the clock and the calculator", text: "How many minutes are left of this day? Use the tools.", settings: { pageTools: ["clock", "calculator"] } },
  { title: "Call a tool that you answer", text: "Do I need an umbrella in Oslo?", settings: { handTools: [weather] } },
  { title: "Answer as JSON that fits a schema", text: "Is a tomato a fruit?", settings: { schema: exampleSchema } },
];

export const demoBeginnings: readonly Beginning[] = [
  { title: "Say hello", text: "Hello! What are you?" },
  { title: "Think before it answers", text: "sim: play thinker" },
  {
    title: "Use the calculator of this page", text: 'What is six times seven?\nsim: call calculator {"expression":"6*7"}\nsim: text It is {result 1}.',
    settings: { pageTools: ["calculator"] },
  },
  {
    title: "Call a tool that you answer", text: 'Do I need an umbrella in Oslo?\nsim: call get_weather {"city":"Oslo"}\nsim: text You say: {result 1}. Then you know.',
    settings: { handTools: [weather] },
  },
  { title: "Answer as JSON that fits a schema", text: "Is a tomato a fruit?", settings: { schema: exampleSchema } },
  { title: "Break off in the middle", text: "sim: play cut" },
];
