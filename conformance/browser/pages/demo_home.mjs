// The demo says that it is one, on every page, and how to leave it.
import { assert, withPage } from "../page.mjs";
import { looks } from "../looks.mjs";

await withPage("/", async (page) => {
  await page.getByRole("heading", { name: "The demo is up" }).waitFor();
  await page.getByText("composer-api upstream install").first().waitFor();
  await looks(page, "demo");
  for (const name of ["Docs", "Keys", "Usage"]) {
    await page.getByRole("link", { name, exact: true }).click();
    assert.match(await page.locator(".ribbon").innerText(), /Demo/);
  }
  await looks(page, "demo-usage");
  await page.getByRole("link", { name: "How to leave it" }).click();
  await page.getByRole("heading", { name: "How to leave the demo" }).waitFor();
});
