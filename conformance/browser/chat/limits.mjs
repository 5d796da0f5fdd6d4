// The settings reach the server and do what they say: system text, max tokens, stop, a JSON schema with its check.
import { accessible, assert, play, shot } from "../page.mjs";
import { answered, playground, say } from "../playground.mjs";

await playground(async (page) => {
  await play("turn always\ntext You told me: {system}\n");
  await page.getByLabel("System text").fill("You are a parrot.");
  await say(page, "What are you?");
  await page.locator(".answer", { hasText: "You are a parrot." }).waitFor();
  await answered(page);

  await play('turn always\ntext "one two STOP three"\nusage input=10 output=5\n');
  await page.getByLabel("Stop sequences").fill("STOP\n");
  await say(page, "Speak.");
  await page.locator(".answer", { hasText: "one two" }).waitFor();
  const first = await answered(page);
  assert.equal((await first.locator(".markdown").innerText()).trim(), "one two");

  await page.getByLabel("Stop sequences").fill("");
  await page.getByLabel("Max tokens").fill("2");
  await play(`turn always\n${"text word word word word word word word word word \n".repeat(5)}`);
  await say(page, "Speak long.");
  await page.getByText("Cut off at the limit of tokens.").waitFor();

  await page.getByLabel("Max tokens").fill("");
  await page.getByRole("button", { name: "Put in an example" }).click();
  await play('turn always\ntext {"answer":"yes","confidence":0.5}\n');
  await say(page, "As JSON.");
  await page.getByText("Valid: it fits the schema.").waitFor();
  const last = await answered(page);
  assert.deepEqual(JSON.parse(await last.locator("pre code").innerText()), { answer: "yes", confidence: 0.5 });
  await accessible(page, "a checked answer");
  await shot(page, "schema");

  await page.getByLabel("JSON schema").fill("{");
  await page.getByText("This is not a JSON object yet.").waitFor();
  await say(page, "Again.");
  await page.locator(".notice", { hasText: "The JSON schema is not a JSON object." }).waitFor();
  assert.equal(await page.locator("#prompt").inputValue(), "Again.", "what was written stays");
});
