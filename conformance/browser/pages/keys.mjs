// From sign-up to the end of the account, with usage of a turn that was just made; by mouse, then by keyboard, then
// without a script.
import { accessible, assert, base, key, play, withPage } from "../page.mjs";
import { looks, tabTo } from "../looks.mjs";

async function ask(token, model = "composer-2.5") {
  return fetch(`${base}/v1/chat/completions`, {
    method: "POST", headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] }),
  });
}

await withPage("/keys", async (page, context) => {
  await looks(page, "keys-out");
  await page.locator("#signup-key").fill(key);
  await page.getByRole("button", { name: "Get a key of this server" }).click();
  await page.getByRole("heading", { name: "Your new key" }).waitFor();
  const token = (await page.locator("section pre").innerText()).trim();
  assert.match(token, /^cmp_/);
  assert.ok(!page.url().includes("cmp_"));
  await accessible(page, "a fresh key");

  // The cookie is none that a script sees or another site sends.
  const cookies = await context.cookies();
  assert.deepEqual(cookies.map((c) => [c.name, c.httpOnly, c.sameSite]), [["composer_account", true, "Strict"]]);

  await page.getByRole("link", { name: "I have copied it" }).click();
  await looks(page, "keys-in");
  // A date is read at once: it stays on its line, also where the table is narrow.
  await page.setViewportSize({ width: 320, height: 640 });
  assert.deepEqual(await page.locator("td time").evaluateAll((all) => all.map((e) => [/^\d{4}-\d\d-\d\d$/.test(e.textContent), e.getClientRects().length])), [[true, 1]]);
  await page.setViewportSize({ width: 1280, height: 800 });
  assert.ok(!(await page.content()).includes(token), "the key is shown once");

  await play("turn\ntext Hello there.\nusage input=1200 output=40 cache_read=900\n");
  for (let i = 0; i < 3; i++) assert.equal((await ask(token)).status, 200);
  assert.equal((await ask(token, "no-such-model")).status, 404);
  await page.getByRole("link", { name: "Usage", exact: true }).click();
  assert.equal(await page.locator(".figures dd").first().innerText(), "4");
  await page.getByText("404 model_not_found").waitFor();
  assert.equal(await page.locator("figure.chart svg").count(), 4);
  await looks(page, "usage-in");
  // A turn in its stages, by keyboard.
  await tabTo(page, page.locator(".log a").last());
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "A turn in its stages" }).waitFor();
  await page.getByText("a new conversation").waitFor();
  assert.match(await page.locator("main > svg").getAttribute("aria-label"), /connect \d/);
  await looks(page, "turn");
  await page.getByRole("link", { name: "All turns" }).click();
  await page.getByRole("link", { name: "24 hours" }).click();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download as CSV" }).click()]);
  assert.equal(download.suggestedFilename(), "usage.csv");

  // One more key, with a name.
  await page.getByRole("link", { name: "Keys", exact: true }).click();
  await page.getByLabel("One more key, called").fill("laptop");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Your new key" }).waitFor();
  assert.equal((await ask((await page.locator("section pre").innerText()).trim())).status, 200);
  await page.getByRole("link", { name: "I have copied it" }).click();
  await page.getByRole("row", { name: "laptop" }).getByRole("button", { name: /^Revoke key_/ }).click();
  await page.getByRole("row", { name: "laptop" }).getByText("revoked").waitFor();

  // By keyboard: rotate, and the old key is void.
  await page.getByRole("link", { name: "Keys", exact: true }).click();
  await tabTo(page, page.getByRole("button", { name: /^Rotate key_/ }));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Your new key" }).waitFor();
  const next = (await page.locator("section pre").innerText()).trim();
  assert.equal((await ask(token)).status, 401);
  assert.equal((await ask(next)).status, 200);
  await page.getByRole("link", { name: "I have copied it" }).click();
  await page.getByRole("button", { name: /^Revoke key_/ }).click();
  await page.waitForLoadState();
  assert.equal((await ask(next)).status, 401);

  // Logged out, nothing is left to see; logged in again, without another key.
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "I have an account" }).waitFor();
  await page.locator("#login-key").fill(key);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Your keys" }).waitFor();
  assert.equal(await page.getByRole("button", { name: /^Revoke key_/ }).count(), 0);
  await page.getByText("Delete the account").click();
  await page.locator("#sure").fill("delete");
  await page.getByRole("button", { name: "Delete it" }).click();
  await page.getByText("Your account is deleted").waitFor();
});

await withPage("/keys", async (page) => {
  await page.locator("#signup-key").fill(key);
  await page.keyboard.press("Enter");
  const token = (await page.locator("section pre").innerText()).trim();
  assert.equal((await ask(token)).status, 200);
  await page.goto(`${base}/usage`);
  assert.equal(await page.locator(".figures dd").first().innerText(), "1");
  // A hosted key alone shows its own usage, and changes nothing.
  await page.getByRole("button", { name: "Log out" }).click();
  await page.locator("#key").fill(token);
  await page.keyboard.press("Enter");
  await page.getByText("Of the hosted key").waitFor();
  await page.goto(`${base}/keys`);
  await page.getByRole("heading", { name: "I have an account" }).waitFor();
}, { javaScriptEnabled: false });
