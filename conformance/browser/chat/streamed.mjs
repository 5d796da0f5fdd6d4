// A streamed answer: words appear before its end, Markdown becomes elements, and the figures are below it.
import { accessible, assert, fits, play, runs, shot } from "../page.mjs";
import { answered, playground, say } from "../playground.mjs";

await playground(async (page) => {
  // The first answer stops after some words, until nobody wants it any more.
  await play(`turn
text "The **first** words"
hold

turn
think I look at the question.
text "# A title\\n\\nThe **first** words"
text " and a list:\\n\\n- one\\n- two\\n\\n\`\`\`go\\nfunc main() { println(\\"hi\\") }\\n\`\`\`\\n\\n| a | b |\\n|---|---|\\n| 1 | 2 |\\n"
usage input=1200 output=40 cache_read=1000 reasoning=9
`);
  await accessible(page, "the empty playground");
  await shot(page, "empty");
  await say(page, "Tell me something.");
  await page.locator(".answer strong", { hasText: "first" }).waitFor();
  assert.equal(await page.locator(".answer").getAttribute("data-state"), "streaming", "words are shown before the end");
  await page.keyboard.press("Escape");
  await answered(page, "stopped");
  await page.getByRole("button", { name: "New conversation" }).click();
  await page.locator(".start").waitFor();
  await say(page, "Tell me all of it.");

  const answer = await answered(page);
  assert.equal(await answer.locator("h3").innerText(), "A title");
  assert.deepEqual(await answer.locator("li").allInnerTexts(), ["one", "two"]);
  assert.equal(await answer.locator("table td").first().innerText(), "1");
  assert.equal(await answer.locator("figure.code figcaption span").innerText(), "go");
  assert.ok((await answer.locator(".hljs-keyword").count()) > 0, "code has colours");
  assert.equal(await answer.locator("details.reasoning").getAttribute("open"), null, "the reasoning is folded");
  await answer.getByText("Reasoning", { exact: true }).click();
  await answer.getByText("I look at the question.").waitFor();

  const figure = (name) => answer.locator(`[data-figure=${name}] dd`).innerText();
  assert.match(await figure("first-token"), /^\d+ ms$|^\d\.\d s$/);
  assert.match(await figure("prompt"), /^[\d,]+ tokens, 1,000 cached$/);
  assert.match(await figure("completion"), /^40 tokens, 9 reasoning$/);
  assert.match(await figure("cost"), /^\$0\.00\d+$/);
  assert.match(await figure("resume"), /^new:/);
  assert.match(await figure("request"), /^req_/);
  assert.match(await figure("upstream"), /composer-2\.5;fast=false/);

  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await answer.getByRole("button", { name: "Copy: go" }).click();
  await answer.getByRole("button", { name: "Copied: go" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'func main() { println("hi") }');

  // The next message continues the conversation that upstream remembers.
  await play("turn\ntext Again.\n");
  await page.getByLabel("Tier").selectOption("fast");
  await say(page, "And more?");
  await page.locator(".answer", { hasText: "Again." }).waitFor();
  await answered(page);
  assert.match((await runs()).at(-1).model, /fast=true/);
  await accessible(page, "a conversation");
  await fits(page, "a conversation");
  await shot(page, "light");
});
