// What the cases of this folder have in common: a client, and a way to print.
import OpenAI from 'openai';

export { OpenAI };

export const model = 'composer-2.5';

// No retries unless a case is about them: they would hide what went wrong.
export const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, maxRetries: 0 });

// The prompt most cases send: what the model says is decided by the script.
export const ask = (text, more) => ({ model, messages: [{ role: 'user', content: text }], ...more });

export const show = (label, value) => console.log(`${label}: ${JSON.stringify(value)}`);

// The error that promise ends in, as a client's code sees it.
export async function showError(label, promise) {
  try {
    show(label, { succeeded: await promise });
  } catch (e) {
    show(label, { class: e.constructor.name, status: e.status, code: e.code, type: e.type, param: e.param });
  }
}

// Reads a chat stream to its end and returns its text.
export async function read(stream, text = '') {
  for await (const chunk of await stream) text += chunk.choices[0]?.delta.content ?? '';
  return text;
}

// A tool for runTools that notes in log when it is run.
export const tool = (name, log, run, parameters = { type: 'object', properties: {} }) => ({
  type: 'function',
  function: {
    name, description: `The tool ${name}.`, parse: JSON.parse, parameters,
    function: async (args) => {
      const result = await run(args);
      log.push(`${name} ${JSON.stringify(args)} = ${JSON.stringify(result)}`);
      return result;
    },
  },
});

// A PNG of one pixel.
export const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
