// What a person does in the playground.
import { key, until, withPage } from "./page.mjs";

/** playground opens it with a key and gives the page to test. */
export function playground(test, options = {}) {
  return withPage(
    "/chat",
    async (page, context) => {
      await setKey(page);
      await test(page, context);
    },
    // Without a key the list of models is refused first.
    { ...options, allow: [/status of 401/, ...(options.allow ?? [])] },
  );
}

export async function setKey(page, remember = false) {
  await page.getByRole("button", { name: "Key", exact: true }).click();
  await page.getByLabel("Your Cursor API key").fill(key);
  if (remember) await page.getByLabel("Keep it until this tab is closed").check();
  await page.getByRole("button", { name: "Use this key" }).click();
  await page.locator("#model option", { hasText: "Composer 2.5" }).first().waitFor({ state: "attached" });
}

/** say sends a message. */
export async function say(page, text) {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
}

/** answered waits until the last answer is over, and returns it. state is done, stopped or failed. */
export async function answered(page, state = "done") {
  const last = page.locator(".answer").last();
  await until(`an answer that is ${state}`, async () => (await last.count()) > 0 && (await last.getAttribute("data-state")) === state);
  return last;
}

/** rows are those of messages in the browser's database. */
export function rows(page) {
  return page.evaluate(() => new Promise((done, failed) => {
    const opening = indexedDB.open("composer-api-playground");
    opening.onerror = () => failed(opening.error);
    opening.onsuccess = () => {
      const found = opening.result.transaction("messages").objectStore("messages").getAll();
      found.onerror = () => failed(found.error);
      found.onsuccess = () => { opening.result.close(); done(found.result); };
    };
  }));
}

/** settings opens the settings where they are behind a button. */
export async function settings(page) {
  const button = page.getByRole("button", { name: "Settings" });
  if ((await button.isVisible()) && (await button.getAttribute("aria-expanded")) === "false") await button.click();
}

/** defineTool defines a tool that the person answers. */
export async function defineTool(page, name, parameters = `{"type":"object","properties":{"city":{"type":"string"}}}`) {
  await settings(page);
  await page.getByRole("button", { name: "Define a tool" }).click();
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("Parameters (JSON schema)").fill(parameters);
  await page.getByRole("button", { name: "Save the tool" }).click();
}
