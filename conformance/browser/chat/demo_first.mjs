// The demo: no key, no upstream, and an answer after two clicks.
import { accessible, assert, shot, withPage } from "../page.mjs";
import { answered, say } from "../playground.mjs";

await withPage(
  "/chat",
  async (page) => {
    await page.getByText("This is the demo").waitFor();
    await accessible(page, "the demo");
    await shot(page, "demo");
    await page.getByRole("button", { name: "Think before it answers" }).click();
    await page.getByRole("button", { name: "Send" }).click();
    await page.locator(".answer", { hasText: "Forty-two." }).waitFor();
    const answer = await answered(page);
    assert.equal(await answer.locator("[data-figure=upstream] dd").innerText().then((t) => t.startsWith("demo")), true);
    await say(page, "sim: play cut");
    await answered(page, "failed");
    await page.locator(".answer", { hasText: "It begins." }).waitFor();
    await accessible(page, "the demo in the dark");
    await shot(page, "dark");
  },
  { colorScheme: "dark" },
);
