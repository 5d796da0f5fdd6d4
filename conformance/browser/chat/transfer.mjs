// Conversations as files: exported, deleted, imported. A file that is none of ours is refused in words.
import { text } from "node:stream/consumers";
import { assert, play } from "../page.mjs";
import { answered, playground, say } from "../playground.mjs";

await playground(async (page) => {
  await play("turn always\ntext You said: {line}\n");
  await say(page, "keep this");
  await answered(page);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export this one" }).click()]);
  const file = await text(await download.createReadStream());
  assert.equal(JSON.parse(file).conversations.length, 1);
  assert.ok(!file.includes(process.env.API_KEY), "the key is in no file");

  page.once("dialog", (d) => d.accept());
  await page.getByRole("button", { name: "Delete keep this" }).click();
  await page.locator(".start").waitFor();
  assert.equal(await page.locator(".heads li").count(), 0);
  await page.reload();
  await page.locator(".start").waitFor();

  const input = page.getByLabel("A file of conversations");
  const give = (content) => input.setInputFiles({ name: "c.json", mimeType: "application/json", buffer: Buffer.from(content) });
  await give(file);
  await page.getByText("One conversation was imported.").waitFor();
  await page.locator(".answer", { hasText: "You said: keep this" }).waitFor();
  await give(file.replaceAll('"kind": "user"', '"kind": "odd"'));
  await page.getByText("The file can't be imported: a message's kind is not as expected.").waitFor();
  await give("<html>");
  await page.getByText("The file is not JSON.").waitFor();
  assert.equal(await page.locator(".heads li").count(), 1);
});
