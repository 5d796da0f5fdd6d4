// Escape stops an answer: upstream's run is reset at once, and the words so far stay.
import { accessible, assert, play, runs, until } from "../page.mjs";
import { answered, playground, say } from "../playground.mjs";

await playground(async (page) => {
  for (const how of ["Escape", "the button"]) {
    await play("turn\ntext It begins.\nhold\n");
    await say(page, "Go on for long.");
    await page.locator(".answer[data-state=streaming]", { hasText: "It begins." }).waitFor();
    const before = (await runs()).length;
    assert.ok(!(await runs()).at(-1).end, "the run is on");
    if (how === "Escape") await page.keyboard.press("Escape");
    else await page.getByRole("button", { name: "Stop" }).click();
    const answer = await answered(page, "stopped");
    await answer.getByText("It begins.").waitFor();
    await answer.getByText("Stopped.").waitFor();
    const run = await until("the end of the run", async () => (await runs())[before - 1].end && (await runs())[before - 1]);
    assert.equal(run.end, "left", `${how} resets the run`);
  }
  await accessible(page, "a stopped answer");
  // The page can be used further.
  await play("turn\ntext Here I am.\n");
  await say(page, "Are you there?");
  await page.locator(".answer", { hasText: "Here I am." }).waitFor();
});
