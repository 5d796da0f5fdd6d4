/** Checks an answer against the JSON schema that its request asked for. */
import { type Schema, Validator } from "@cfworker/json-schema"; // compiles nothing, as the security policy wants it
import { parseObject } from "./request.ts";

export type Verdict = { ok: true; value: unknown } | { ok: false; problems: string[] };

/** How many problems are named. */
const maxProblems = 5;

/** check says whether text is JSON that fits the schema. */
export function check(schemaText: string, text: string): Verdict {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, problems: ["The answer is not JSON."] };
  }
  const schema = parseObject(schemaText);
  if (schema === undefined) return { ok: false, problems: ["The schema is not a JSON object."] };
  try {
    const result = new Validator(schema as Schema, "2020-12", false).validate(value);
    if (result.valid) return { ok: true, value };
    // The first errors only say that something below them is wrong.
    const leaves = result.errors.filter((e) => !result.errors.some((other) => other !== e && other.instanceLocation.startsWith(e.instanceLocation + "/")));
    return { ok: false, problems: leaves.slice(0, maxProblems).map((e) => `${e.instanceLocation.replace(/^#/, "") || "/"}: ${e.error}`) };
  } catch {
    return { ok: false, problems: ["The schema can't be used to check the answer."] };
  }
}
