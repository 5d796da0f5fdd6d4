// Everything without a mouse: the focus can be seen, goes everywhere, and is trapped nowhere.
import { assert, key, play, runs, withPage } from "../page.mjs";
import { answered } from "../playground.mjs";

await withPage(
  "/chat",
  async (page) => {
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label") || document.activeElement?.closest("label")?.textContent || document.activeElement?.textContent || document.activeElement?.id || "");
    /** tabTo presses Tab until what has the focus is called name. */
    const tabTo = async (name, back = false) => {
      const seen = [];
      for (let i = 0; i < 80; i++) {
        await page.keyboard.press(back ? "Shift+Tab" : "Tab");
        const now = (await focused()).trim();
        if (now === name) return;
        seen.push(now);
      }
      assert.fail(`Tab never comes to ${name}; it comes to ${seen.join(", ")}`);
    };
    await play("turn always\ntext You said: {line}\n");
    await page.getByText("Enter a key").waitFor();
    await tabTo("Key");
    await page.keyboard.press("Enter");
    await page.getByLabel("Your Cursor API key").waitFor();
    await page.getByLabel("Your Cursor API key").focus(); // a dialog begins at its first control, the one that closes it
    await page.keyboard.type(key);
    await page.keyboard.press("Enter");
    await page.locator("#model option", { hasText: "Composer 2.5" }).first().waitFor({ state: "attached" });
    assert.equal((await focused()).trim(), "Key set", "the focus comes back to what opened the dialog");

    await tabTo("prompt");
    await page.keyboard.type("first line");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("second line");
    assert.equal((await runs()).length, 0, "Shift+Enter does not send");
    await page.keyboard.press("Enter");
    await page.locator(".answer", { hasText: "You said: second line" }).waitFor();
    await answered(page);
    assert.equal(await page.locator("#prompt").inputValue(), "");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "prompt", "the focus stays where one writes");

    await tabTo("Edit", true);
    await page.keyboard.press("Enter");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("edited");
    await page.keyboard.press("Enter");
    await page.locator(".answer", { hasText: "You said: edited" }).waitFor();
    await answered(page);
    await page.locator("#prompt").focus();
    await tabTo("Show as code", true);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    for (let i = 0; i < 10; i++) {
      await page.keyboard.press("Tab");
      assert.ok(await page.evaluate(() => document.activeElement === document.body || document.querySelector("dialog").contains(document.activeElement)), "the focus stays in the dialog");
    }
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });

    await tabTo("Clock");
    assert.ok(await page.evaluate(() => document.activeElement.matches(":focus-visible")));
  },
  { allow: [/status of 401/] },
);
