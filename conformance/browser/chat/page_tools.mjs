// Tools that the page runs by itself: the clock, the calculator, a page of ours.
import { assert, play, runs } from "../page.mjs";
import { answered, playground, say } from "../playground.mjs";

await playground(async (page) => {
  for (const tool of ["Clock", "Calculator", "Fetch a page of this server"]) await page.getByLabel(tool).check();
  await play(`turn when tools
calls 4
call calculator {"expression":"6*7"}
call clock {"time_zone":"UTC"}
call fetch_page {"path":"/healthz"}
call fetch_page {"path":"//evil.test/"}
end
text "It is {result 1}."
`);
  await say(page, "What is six times seven?");
  await page.locator(".answer", { hasText: "It is 42." }).waitFor();
  await answered(page);
  const results = await page.locator(".result pre").allInnerTexts();
  assert.equal(results[0], "42");
  assert.match(results[1], /UTC/);
  assert.match(results[2], /status/);
  assert.equal(results[3], "Error: Only pages of this server can be fetched.");
  assert.equal((await runs()).length, 1, "the run was parked and went on");
  assert.deepEqual((await runs())[0].tools.sort(), ["calculator", "clock", "fetch_page"]);
});
