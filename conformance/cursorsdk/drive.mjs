// Drives Cursor's own SDK through the turns that sdk_test.go has scripted, and prints one JSON object a turn: what a
// user of the SDK would see.
import { Agent } from '@cursor/sdk';

const schema = { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } }, required: ['a', 'b'] };
const calls = [];
const tool = (name, f) => ({
  description: `Gives ${name}.`,
  inputSchema: schema,
  execute: async ({ a, b }) => {
    calls.push(`${name} ${a} ${b}`);
    return f(a, b);
  },
});

const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

function open(options) {
  return Agent.create({
    apiKey: process.env.API_KEY,
    model: { id: 'composer-2.5', params: [{ id: 'fast', value: 'false' }] },
    ...options,
    local: { cwd: process.env.WORK, settingSources: [], ...options.local },
  });
}

async function turn(name, agent, message) {
  const run = await agent.send(message);
  let text = '';
  let thinking = '';
  for await (const event of run.stream()) {
    if (event.type === 'thinking') thinking += event.text;
    if (event.type === 'assistant') for (const block of event.message.content) text += block.text ?? '';
  }
  const { status, error, usage } = await run.wait();
  const seen = { turn: name, status, text, thinking, calls: calls.splice(0), error: error?.message, usage };
  console.log(JSON.stringify(seen));
}

const agent = await open({
  tools: ['mcp'],
  local: {
    customTools: {
      sum: tool('sum', (a, b) => String(a + b)),
      product: tool('product', (a, b) => ({ content: [{ type: 'text', text: String(a * b) }, { type: 'image', data: pixel, mimeType: 'image/png' }] })),
      broken: tool('broken', () => {
        throw new Error('it is broken');
      }),
    },
  },
});
await turn('text', agent, 'Say something.');
await turn('call', agent, 'What is 1 + 2?');
await turn('parallel', agent, 'What are 1 + 2 and 3 * 4?');
await turn('failing', agent, 'Use the broken tool, and one that does not exist.');
await turn('image', agent, { text: 'What is this?', images: [{ data: pixel, mimeType: 'image/png' }] });
await turn('strange', agent, 'Be strange.');
await turn('resume', agent, 'Break in the middle.');
await turn('error', agent, 'Fail.');
agent.close();

const plain = await open({ tools: [] });
await turn('without tools', plain, 'Just talk.');
plain.close();
process.exit(0); // the SDK's timers would keep the process for a while
