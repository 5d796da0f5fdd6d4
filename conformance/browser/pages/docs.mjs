// The documentation: every page is reached from the menu and passes axe; the longest tables fit on a phone.
import { accessible, allButColours, assert, withPage } from "../page.mjs";
import { looks } from "../looks.mjs";

await withPage("/docs", async (page) => {
  await looks(page, "docs");
  const names = await page.locator(".contents a[href*='/docs/']").allInnerTexts();
  assert.ok(names.length >= 10, `${names}`);
  for (const name of names) {
    await page.locator(".contents").getByRole("link", { name, exact: true }).click();
    await page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
    assert.equal(await page.locator(".contents [aria-current]").innerText(), name);
    await accessible(page, name, allButColours); // all chapters have the colours of the first and the last
  }
  await page.locator(".contents").getByRole("link", { name: "Settings", exact: true }).click();
  await looks(page, "settings");
});
