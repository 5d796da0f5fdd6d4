// What the cases of this folder have in common: a client, and a way to print.
import Anthropic from '@anthropic-ai/sdk';

export { Anthropic };

export const model = 'composer-2.5';

// The SDK's base URL is without /v1. No retries unless a case is about them: they would hide what went wrong.
export const baseURL = process.env.BASE_URL.replace(/\/v1$/, '');
export const client = new Anthropic({ baseURL, apiKey: process.env.API_KEY, maxRetries: 0 });

// The request most cases send: what the model says is decided by the script.
export const ask = (text, more) => ({ model, max_tokens: 4096, messages: [{ role: 'user', content: text }], ...more });

export const show = (label, value) => console.log(`${label}: ${JSON.stringify(value)}`);

// The error that promise ends in, as a client's code sees it.
export async function showError(label, promise) {
  try {
    show(label, { succeeded: await promise });
  } catch (e) {
    show(label, {
      class: e.constructor.name, status: e.status, type: e.type, message: e.error?.error?.message,
      id: e.requestID === e.error?.request_id && typeof e.requestID === 'string',
    });
  }
}

// A PNG of one pixel.
export const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
