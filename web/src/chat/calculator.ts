/**
 * A calculator for the page's tool of that name: numbers, + - * / % ^, brackets, a few functions and constants. It has a
 * parser of its own, because the page's security policy forbids eval, and a model's text must never be run as code.
 */

const constants: Record<string, number> = { pi: Math.PI, e: Math.E };

const functions: Record<string, (...args: number[]) => number> = {
  abs: Math.abs, ceil: Math.ceil, floor: Math.floor, round: Math.round,
  sqrt: Math.sqrt, cbrt: Math.cbrt, exp: Math.exp, ln: Math.log, log: Math.log10, log2: Math.log2,
  sin: Math.sin, cos: Math.cos, tan: Math.tan, asin: Math.asin, acos: Math.acos, atan: Math.atan,
  min: Math.min, max: Math.max,
};

/** Longer expressions are refused, and so are deeper ones: the parser calls itself for each bracket. */
const maxLength = 1000;
const maxDepth = 100;

const token = /\s*(?:(\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)|([a-z][a-z0-9]*)|(\*\*|[-+*/%^(),]))/iy;

/** calculate is the value of an expression. Its errors are sentences for the model. */
export function calculate(expression: string): number {
  if (expression.length > maxLength) throw new Error(`The expression is longer than ${maxLength} characters.`);
  const value = new Parser(tokens(expression)).whole();
  if (!Number.isFinite(value)) throw new Error("The result is not a finite number.");
  return value;
}

type Token = { number: number } | { name: string } | { sign: string };

function tokens(expression: string): Token[] {
  const found: Token[] = [];
  token.lastIndex = 0;
  const end = expression.trimEnd().length;
  while (token.lastIndex < end) {
    const at = token.lastIndex;
    const match = token.exec(expression);
    if (match === null) throw new Error(`"${expression.slice(at).trim().slice(0, 20)}" can't be read.`);
    const [, number, name, sign] = match;
    if (number !== undefined) found.push({ number: Number(number) });
    else if (name !== undefined) found.push({ name: name.toLowerCase() });
    else found.push({ sign: sign === "**" ? "^" : (sign ?? "") });
  }
  return found;
}

/** The grammar: sum = product {(+|-) product}, product = power {(*|/|%) power}, power = [-] atom [^ power]. */
class Parser {
  private at = 0;
  private depth = 0;
  constructor(private readonly tokens: Token[]) {}

  whole(): number {
    const value = this.sum();
    if (this.at < this.tokens.length) throw new Error("There is something after the end of the expression.");
    return value;
  }

  private sum(): number {
    let value = this.product();
    for (;;) {
      if (this.take("+")) value += this.product();
      else if (this.take("-")) value -= this.product();
      else return value;
    }
  }

  private product(): number {
    let value = this.signed();
    for (;;) {
      if (this.take("*")) value *= this.signed();
      else if (this.take("/")) value /= this.signed();
      else if (this.take("%")) value %= this.signed();
      else return value;
    }
  }

  // The sign binds less than ^: -2^2 is -4, as on paper.
  private signed(): number {
    if (++this.depth > maxDepth) throw new Error("The expression is nested too deeply.");
    try {
      if (this.take("-")) return -this.signed();
      if (this.take("+")) return this.signed();
      const base = this.atom();
      return this.take("^") ? base ** this.signed() : base;
    } finally {
      this.depth--;
    }
  }

  private atom(): number {
    const next = this.tokens[this.at++];
    if (next === undefined) throw new Error("The expression ends too early.");
    if ("number" in next) return next.number;
    if ("name" in next) return this.named(next.name);
    if (next.sign === "(") {
      const value = this.sum();
      this.expect(")");
      return value;
    }
    throw new Error(`"${next.sign}" is in the wrong place.`);
  }

  private named(name: string): number {
    if (!this.take("(")) {
      if (!Object.hasOwn(constants, name)) throw new Error(`"${name}" is unknown. Constants: ${Object.keys(constants).join(", ")}.`);
      return constants[name] ?? NaN;
    }
    if (!Object.hasOwn(functions, name)) throw new Error(`The function "${name}" is unknown. Functions: ${Object.keys(functions).join(", ")}.`);
    const args = [this.sum()];
    while (this.take(",")) args.push(this.sum());
    this.expect(")");
    return functions[name]?.(...args) ?? NaN;
  }

  private take(sign: string): boolean {
    const next = this.tokens[this.at];
    if (next === undefined || !("sign" in next) || next.sign !== sign) return false;
    this.at++;
    return true;
  }

  private expect(sign: string): void {
    if (!this.take(sign)) throw new Error(`"${sign}" is missing.`);
  }
}
