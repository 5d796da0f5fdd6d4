// Addresses and fields full of markup are text, and no redirect leads elsewhere.
import { assert, base, withPage } from "../page.mjs";

const evil = `"><img src=x onerror=alert(1)><script>alert(1)</script>`;

for (const path of [`/${encodeURIComponent(evil)}`, `/docs/${encodeURIComponent(evil)}`, `/usage?days=${encodeURIComponent(evil)}`, `/keys?next=${encodeURIComponent("https://evil.example")}`, "//evil.example/..", "/\\evil.example"]) {
  await withPage(path, async (page) => {
    page.on("dialog", () => assert.fail("a script ran"));
    assert.equal(new URL(page.url()).origin, base, "the browser is still here");
    assert.equal(await page.locator("img").count(), 0);
  }, { allow: [/status of 404/] });
}

await withPage("/", async (page) => {
  await page.locator("#key").fill(evil);
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByText("This is not a Cursor API key").waitFor();
  assert.equal(await page.locator("img").count(), 0);
});
