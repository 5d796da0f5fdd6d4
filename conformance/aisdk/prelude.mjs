// What the cases of this folder have in common: the model, on the surface that SURFACE names, and a way to print.
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, isStepCount, Output, streamText, tool } from 'ai';
import { z } from 'zod';

export { generateText, isStepCount, Output, streamText, tool, z };

globalThis.AI_SDK_LOG_WARNINGS = false;

const options = { name: 'gw', baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY };

const surfaces = {
  chat: () => createOpenAICompatible({ ...options, includeUsage: true, supportsStructuredOutputs: true }).chatModel('composer-2.5'),
  responses: () => createOpenAI(options).responses('composer-2.5'),
};

export const model = surfaces[process.env.SURFACE]();

// What every call is made with. No retries: they would hide what went wrong.
export const base = { model, maxRetries: 0 };

export const show = (label, value) => console.log(`${label}: ${JSON.stringify(value)}`);

// Tools that note in log when they are run.
export const tools = (log) => ({
  add: tool({
    description: 'Adds.',
    inputSchema: z.object({ a: z.number(), b: z.number() }),
    execute: async ({ a, b }) => {
      log.push(`add ${a} ${b}`);
      return String(a + b);
    },
  }),
  fail: tool({
    description: 'Fails.',
    inputSchema: z.object({}),
    execute: async () => {
      log.push('fail');
      throw new Error('it failed');
    },
  }),
});
