// A tool loop by hand: two parallel calls, answered one after the other, while the run stays parked upstream.
import { accessible, assert, play, runs, shot, until } from "../page.mjs";
import { answered, defineTool, playground, say } from "../playground.mjs";

await playground(async (page) => {
  await play(`turn when tools
text "Let me ask."
calls 2
call weather {"city":"Oslo"}
call weather {"city":"Rome"}
end
text "Oslo: {result 1}, Rome: {result 2}"
`);
  await defineTool(page, "weather");
  await accessible(page, "the settings with a tool");
  await say(page, "How is the weather?");
  await answered(page);
  const open = page.locator(".call").filter({ has: page.locator(".give") });
  assert.equal(await open.count(), 2, "both calls wait for the person");
  assert.match(await page.locator(".call").first().innerText(), /"city": "Oslo"/);
  const run = await until("a parked run", async () => (await runs()).find((r) => r.end === undefined || r.end === ""));
  await accessible(page, "open calls");
  await shot(page, "calls");

  await open.first().getByLabel("Your answer as the tool weather").fill("rain & <b>wind</b>");
  await page.keyboard.press("Enter");
  await page.getByText("1 still open").waitFor();
  assert.equal((await runs()).length, 1, "nothing is sent before all have an answer");
  await open.first().getByLabel("Your answer as the tool weather").fill("sun");
  await open.first().getByRole("button", { name: "Give the result" }).click();

  await page.locator(".answer", { hasText: "Oslo: rain & <b>wind</b>, Rome: sun" }).waitFor();
  const last = await answered(page);
  assert.match(await last.locator("[data-figure=resume] dd").innerText(), /^parked:/);
  const after = await runs();
  assert.equal(after.length, 1, "the same run went on");
  assert.equal(after[0].runId, run.runId);

  // Going on without an answer: the call counts as one that the person did not run.
  await play(`turn when tools
call weather {"city":"Bonn"}
text "never"

turn
text "All right: {prompt}"
`);
  await say(page, "And Bonn?");
  await page.locator(".call", { hasText: "Bonn" }).waitFor();
  await answered(page);
  await say(page, "Never mind.");
  await page.locator(".result", { hasText: "The user did not run this tool." }).waitFor();
  await answered(page);
});
