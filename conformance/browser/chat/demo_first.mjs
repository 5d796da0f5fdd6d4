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

    // A JSON schema is met with a sample, which the page checks.
    await page.getByRole("button", { name: "New conversation" }).click();
    await page.getByRole("button", { name: "Answer as JSON that fits a schema" }).click();
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("Valid: it fits the schema.").waitFor();
    assert.deepEqual(Object.keys(JSON.parse(await (await answered(page)).locator("pre code").innerText())).sort(), ["answer", "confidence"]);

    // A tool that runs in the page, and one that the person answers.
    await page.getByRole("button", { name: "New conversation" }).click();
    await page.getByRole("button", { name: "Use the calculator of this page" }).click();
    await page.getByRole("button", { name: "Send" }).click();
    await page.locator(".answer", { hasText: "It is 42." }).waitFor();
    await answered(page);
    await page.getByRole("button", { name: "New conversation" }).click();
    await page.getByRole("button", { name: "Call a tool that you answer" }).click();
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByLabel("Your answer as the tool get_weather").fill("rain");
    await page.keyboard.press("Enter");
    await page.locator(".answer", { hasText: "You say: rain." }).waitFor();
    await answered(page);
  },
  { colorScheme: "dark" },
);
