/** Numbers and JSON as people read them. */
import type { Facts } from "./conversation.ts";

/** seconds is a time of milliseconds: "640 ms", "2.3 s", "75 s". */
export function seconds(ms: number): string {
  if (ms < 995) return `${Math.round(ms)} ms`;
  return ms < 9950 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}

/** dollars has as many digits as an amount needs: "$0.000123", "$1.24". */
export function dollars(usd: number): string {
  if (usd === 0) return "$0";
  if (usd >= 1) return "$" + usd.toFixed(2);
  return "$" + usd.toFixed(Math.min(8, 2 - Math.floor(Math.log10(usd)))).replace(/0+$/, "");
}

/** count has its thousands apart. */
export function count(n: number): string {
  return n.toLocaleString("en-US");
}

/**
 * speed is tokens a second, from the first token to the end; undefined when that can't be said: an answer that came in one piece took no time.
 */
export function speed(f: Facts): number | undefined {
  if (f.usage === undefined || f.firstToken === undefined || f.duration === undefined) return undefined;
  const ms = f.duration - f.firstToken;
  return ms < 5 || f.usage.completion === 0 ? undefined : (f.usage.completion * 1000) / ms;
}

/** pretty is JSON with line breaks, or the text itself when it is none. */
export function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}
