// The home page: all is well, a client's lines with the real address, a key checked by keyboard, and without a script.
import { accessible, assert, base, key, withPage } from "../page.mjs";
import { looks, tabTo } from "../looks.mjs";

await withPage("/", async (page, context) => {
  await page.getByRole("heading", { name: "Up, and ready" }).waitFor();
  await page.getByText("localagent is reachable").waitFor();
  await looks(page, "home");

  // By mouse: a tab, and what it copies.
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.getByText("Codex", { exact: true }).click();
  const lines = page.locator(".tab:visible pre").last();
  assert.match(await lines.innerText(), new RegExp(`base_url = "${base}/v1"`));
  assert.equal((await page.locator(".tab:visible pre").first().innerText()).trim(), `composer-api setup codex --addr ${new URL(base).host}`);
  await page.locator(".tab:visible").getByRole("button", { name: "Copy these lines" }).last().click();
  await page.getByRole("status").getByText("Copied").waitFor({ state: "attached" });
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /\[model_providers\.composer\]/);

  // By keyboard: the first stop skips the menu, arrows change the tab, Enter checks a key.
  await page.reload();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await tabTo(page, page.getByRole("radio", { name: "curl" }));
  await page.keyboard.press("ArrowRight");
  assert.match(await page.locator(".tab:visible").innerText(), /import OpenAI/);
  await tabTo(page, page.getByLabel("Cursor API key"));
  await page.keyboard.type(key);
  await page.keyboard.press("Enter");
  await page.getByText("This key works.").waitFor();
  assert.ok(!page.url().includes(key) && !(await page.content()).includes(key), "the key is not shown");
  await accessible(page, "a checked key");
});

// Without JavaScript everything but the copying is there.
await withPage("/", async (page) => {
  await page.locator('label[for="tab-claude-code"]').click();
  assert.match(await page.locator(".tab:visible").innerText(), new RegExp(`ANTHROPIC_BASE_URL=${base} `));
  assert.equal(await page.getByRole("button", { name: /Copy/ }).count(), 0);
  await page.locator("#key").fill(key);
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByText("This key works.").waitFor();
}, { javaScriptEnabled: false });
