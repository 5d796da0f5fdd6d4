// Opens a page of the gateway in Chromium and holds it to what every page has to keep: no error on the console, no
// request to another server, no violation of the security policy.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

export { assert };

// What the Go test tells us.
export const base = process.env.BASE_URL; // of the gateway, without a path
export const sim = process.env.SIM_URL; // of the simulator behind it; undefined in a demo
export const key = process.env.API_KEY;
const shots = process.env.COMPOSER_TEST_SCREENSHOTS; // a folder to leave pictures in; undefined for none

const patience = 60_000; // far more than anything needs; a machine may be busy

/**
 * withPage opens path, gives it to test, and checks afterwards what was seen. options are those of Playwright's contexts
 * (viewport, colorScheme, …) and:
 *   allow      console errors that belong to the test, such as those that Chromium writes for a status of 4xx
 *   elsewhere  the origin of another site that the test plays
 */
export async function withPage(path, test, { allow = [], elsewhere, ...options } = {}) {
  const browser = await chromium.connect(process.env.BROWSER);
  const wrong = [];
  try {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "light", locale: "en-GB", acceptDownloads: true, ...options });
    await context.exposeBinding("reportViolation", (_, v) => wrong.push(`security policy: ${v}`));
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (e) => window.reportViolation(`${e.violatedDirective} ${e.blockedURI} ${e.sourceFile ?? ""}:${e.lineNumber}`));
    });
    context.on("request", (r) => {
      const url = new URL(r.url());
      if (!["data:", "blob:"].includes(url.protocol) && url.origin !== base && url.origin !== elsewhere) wrong.push(`foreign request: ${r.url()}`);
    });
    context.on("console", (m) => {
      if (["error", "warning"].includes(m.type()) && !allow.some((a) => a.test(m.text()))) wrong.push(`console: ${m.text()}`);
    });
    context.on("weberror", (e) => wrong.push(`uncaught: ${e.error()}`));
    const page = await context.newPage();
    page.setDefaultTimeout(patience);
    await page.goto(base + path);
    try {
      await test(page, context);
    } catch (error) {
      if (shots) await page.screenshot({ path: `${shots}/failed.png` });
      throw new Error(`${error.stack}\nseen: ${wrong.join("\n")}\nthe page says: ${await page.locator("body").innerText().catch(() => "nothing")}`);
    }
  } finally {
    await browser.close(); // ends the connection and its contexts; the browser stays
  }
  assert.deepEqual(wrong, [], "the page did what no page may do");
}

export const coloursAlone = { runOnly: ["color-contrast"] };
export const allButColours = { rules: { "color-contrast": { enabled: false } } };

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/**
 * accessible fails when axe finds something wrong with the page as it is now. rules are axe's: all of them, or what
 * coloursAlone and allButColours say, for a page whose other half is checked elsewhere.
 */
export async function accessible(page, where, rules = {}) {
  // Once for each page that is loaded: it takes as long as the check. Not a script tag, which the security policy forbids.
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axeSource);
  const { violations } = await page.evaluate((r) => window.axe.run(document, { resultTypes: ["violations"], ...r }), rules);
  const found = violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${v.help}: ${n.html.slice(0, 200)} ${n.any.map((a) => a.message).join("; ")}`));
  assert.deepEqual(found, [], `axe on ${where}`);
}

/** fits fails when the page is wider than its window. */
export async function fits(page, where) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${where} is ${wide} pixels wider than the window`);
}

/** shot leaves a picture where the person who runs the test has asked for some. */
export async function shot(page, name, options = {}) {
  if (shots) await page.screenshot({ path: `${shots}/${name}.png`, ...options });
}

/** play sets what the simulator's model says. */
export async function play(script) {
  const response = await fetch(`${sim}/sim/script`, { method: "POST", headers: { "Content-Type": "text/plain" }, body: script });
  assert.equal(response.status, 204, await response.text());
}

/** runs are the simulator's record of what it received. */
export async function runs() {
  return (await (await fetch(`${sim}/sim/runs`)).json()).runs;
}

/** until waits until ok returns something true, and returns it. */
export async function until(what, ok) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await ok();
    if (found) return found;
    assert.ok(Date.now() < end, `waited in vain for ${what}`);
    await new Promise((done) => setTimeout(done, 25));
  }
}
