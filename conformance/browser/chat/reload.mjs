// A reload in the middle of an answer: the conversation is there, with the words that had come, and the server's run ended.
import { assert, key, play, runs, until, withPage } from "../page.mjs";
import { answered, rows, say, setKey } from "../playground.mjs";

await withPage(
  "/chat",
  async (page, context) => {
    await setKey(page, true);
    await play("turn\ntext It begins.\nhold\n\nturn always\ntext It ends.\n");
    await say(page, "Tell me a story.");
    await page.locator(".answer", { hasText: "It begins." }).waitFor();
    await until("the words in the browser's database", async () => (await rows(page)).some((row) => row.node.text === "It begins."));
    await page.reload();
    await page.locator(".said", { hasText: "Tell me a story." }).waitFor();
    const answer = await answered(page, "failed");
    await answer.getByText("The page was closed or reloaded").waitFor();
    await answer.getByText("It begins.").waitFor();
    await until("the end of the run", async () => (await runs())[0].end === "left");
    // The key was kept for the tab, as the person wanted.
    await answer.getByRole("button", { name: "Retry" }).click();
    await page.locator(".answer", { hasText: "It ends." }).waitFor();
    await answered(page);

    // Another conversation goes on while a new one is looked at.
    await play("turn\ntext One.\ndelay 600ms\ntext Two.\n");
    await say(page, "Count.");
    await page.locator(".answer", { hasText: "One." }).waitFor();
    await page.getByRole("button", { name: "New conversation" }).click();
    await page.locator(".start").waitFor();
    await page.getByRole("button", { name: "Tell me a story." }).first().click();
    await page.locator(".answer", { hasText: "One.Two." }).waitFor();
    await answered(page);

    // A tab of its own sees the conversations and not the key.
    const other = await context.newPage();
    await other.goto(page.url());
    await other.locator(".answer", { hasText: "One.Two." }).waitFor();
    await other.getByRole("button", { name: "Key", exact: true }).waitFor();
    assert.ok(!page.url().includes(key), "the key is not in the address");
    const kept = await other.evaluate(async () => JSON.stringify([{ ...localStorage }, document.cookie]));
    assert.ok(!kept.includes(key));
  },
  { allow: [/status of 401/] },
);
