import assert from "node:assert/strict";
import { test } from "node:test";
import { calculate } from "./calculator.ts";

test("what is calculated", () => {
  const cases: [string, number][] = [
    ["1+2*3", 7], ["(1+2)*3", 9], ["2^3^2", 512], ["-2^2", -4], ["2**-1", 0.5], ["10 % 4 - 1", 1], ["10/4/5", 0.5], ["--3", 3],
    [".5 + 1.", 1.5], ["1e3", 1000], ["2e", NaN], ["sqrt(2)*sqrt(2)", 2], ["max(1, 2, min(9, 3))", 3], ["sin(pi/2)", 1], ["Ln(e)", 1], [" 1 ", 1],
  ];
  for (const [expression, value] of cases) {
    if (Number.isNaN(value)) assert.throws(() => calculate(expression));
    else assert.ok(Math.abs(calculate(expression) - value) < 1e-12, `${expression} is ${calculate(expression)}`);
  }
});

test("what is no expression is refused in a sentence", () => {
  const cases: [string, RegExp][] = [
    ["", /ends too early/], ["1+", /ends too early/], ["(1", /"\)" is missing/], ["1 2", /after the end/], ["1)", /after the end/], ["*1", /wrong place/], ["foo", /"foo" is unknown/], ["foo(1)", /function "foo" is unknown/],
    ["constructor", /unknown/], ["toString()", /wrong place|unknown/], ["alert(1)", /unknown/], ["1;2", /";2" can't be read/], ["1/0", /not a finite/], ["x".repeat(2000), /longer than 1000/],
    ["(".repeat(900) + "1", /nested too deeply/], ["-".repeat(900) + "1", /nested too deeply/],
  ];
  for (const [expression, message] of cases) assert.throws(() => calculate(expression), message, expression);
});
