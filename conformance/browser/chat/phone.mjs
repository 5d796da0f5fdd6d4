// A phone, 320 pixels wide, dark: nothing is cut off, and everything is within reach of a thumb.
import { accessible, assert, fits, play, shot } from "../page.mjs";
import { answered, playground, say } from "../playground.mjs";

const phone = { viewport: { width: 320, height: 640 }, colorScheme: "dark", hasTouch: true, isMobile: true, reducedMotion: "reduce" };

await playground(async (page) => {
  await play(`turn always
text ${JSON.stringify("Here is `a_very_long_name_without_any_space_in_it_that_goes_on_and_on_and_on`:\n\n```python\nprint('a line of code that is much longer than a phone is wide, so that it scrolls')\n```\n\n| one | two | three | four | five | six | seven |\n|---|---|---|---|---|---|---|\n| a | b | c | d | e | f | g |\n")}
usage input=1200 output=40 cache_read=1000
`);
  await fits(page, "the empty playground on a phone");
  await accessible(page, "the empty playground on a phone");
  await shot(page, "phone-empty");
  await say(page, "Something_without_any_space_in_it_that_is_longer_than_the_screen");
  await answered(page);
  await fits(page, "a conversation on a phone");
  await accessible(page, "a conversation on a phone");
  await shot(page, "phone");

  await page.getByRole("button", { name: "Conversations" }).click();
  await page.getByRole("button", { name: "New conversation" }).waitFor();
  await fits(page, "the list on a phone");
  await accessible(page, "the list on a phone");
  await shot(page, "phone-list");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "New conversation" }).waitFor({ state: "hidden" });

  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByLabel("System text").fill("Be brief.");
  await fits(page, "the settings on a phone");
  await accessible(page, "the settings on a phone");
  await shot(page, "phone-settings");
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Show as code" }).click();
  await fits(page, "the code on a phone");
  await shot(page, "phone-code");
  // Fingers need 24 pixels at least: WCAG 2.2, 2.5.8.
  await page.keyboard.press("Escape");
  const small = await page.evaluate(() => [...document.querySelectorAll(".app button, .app select")].filter((e) => e.checkVisibility()).map((e) => [e.textContent || e.id, e.getBoundingClientRect()]).filter(([, r]) => r.width < 24 || r.height < 24).map(([name]) => name));
  assert.deepEqual(small, []);
}, phone);
