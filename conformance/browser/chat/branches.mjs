// Edit and resend make branches; each can be gone back to and gone on from.
import { accessible, assert, play, runs } from "../page.mjs";
import { answered, playground, say } from "../playground.mjs";

await playground(async (page) => {
  await play("turn always\ntext You said: {line}\n");
  const shown = () => page.locator(".said, .answer .markdown").allInnerTexts();
  const settled = async (text) => {
    await page.locator(".answer", { hasText: text }).last().waitFor();
    await answered(page);
  };
  await say(page, "one");
  await settled("You said: one");
  await say(page, "two");
  await settled("You said: two");

  await page.locator(".user").first().getByRole("button", { name: "Edit" }).click();
  const editor = page.getByRole("form", { name: "Edit your message" }).getByLabel("Your message");
  await editor.fill("uno");
  await accessible(page, "the editor");
  await page.keyboard.press("Enter");
  await settled("You said: uno");
  assert.deepEqual(await shown(), ["uno", "You said: uno"]);
  assert.deepEqual((await runs()).length, 3);

  await page.locator(".user").getByRole("button", { name: "Previous branch" }).click();
  await page.locator(".said", { hasText: "two" }).waitFor();
  assert.deepEqual(await shown(), ["one", "You said: one", "two", "You said: two"]);

  await page.locator(".answer").last().getByRole("button", { name: "Ask again" }).click();
  await page.locator(".answer").last().getByText("2 of 2").waitFor();
  await answered(page);

  // Escape leaves the editor without a change.
  await page.locator(".user").first().getByRole("button", { name: "Edit" }).click();
  await page.keyboard.type("nothing of this");
  await page.keyboard.press("Escape");
  assert.deepEqual((await shown()).slice(0, 1), ["one"]);

  // All of it survives a reload.
  await page.reload();
  await page.locator(".said", { hasText: "two" }).waitFor();
  await page.locator(".user").first().getByText("1 of 2").waitFor();
});
