// A page that lies open costs the server nothing: no request in ten minutes.
import { assert, withPage } from "../page.mjs";

for (const path of ["/", "/docs/settings", "/usage"]) {
  await withPage(path, async (page, context) => {
    await page.waitForLoadState("networkidle");
    let requests = 0;
    context.on("request", () => requests++);
    await page.clock.install();
    await page.clock.runFor(10 * 60_000);
    assert.equal(requests, 0, `${path} asks for something by itself`);
  });
}
