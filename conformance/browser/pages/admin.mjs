// The operator: a wrong token, the right one, what runs now, what a key may, an invitation, a key revoked, logging out; a page of another site gets
// nowhere, neither by a form nor by a frame.
import { createServer } from "node:http";
import { assert, base, key, withPage } from "../page.mjs";
import { looks, tabTo } from "../looks.mjs";

const token = process.env.OPERATOR_TOKEN;

await fetch(`${base}/api/signup`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ cursorApiKey: key }) });

await withPage("/admin", async (page) => {
  await looks(page, "admin-out");
  await page.getByLabel("The operator's token").fill("cmpadmin_wrong");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").getByText("not the operator's token").waitFor();
  await tabTo(page, page.getByLabel("The operator's token"));
  await page.keyboard.type(token);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Now" }).waitFor();
  assert.ok(!page.url().includes(token));
  await page.getByText("Turns under way", { exact: true }).waitFor();
  await looks(page, "admin-in");

  await page.getByRole("link", { name: /^Change what key_/ }).click();
  await page.getByRole("heading", { name: "What a key may" }).waitFor();
  await page.getByLabel("Name", { exact: true }).fill("build server");
  await page.getByLabel("chat", { exact: true }).check();
  await page.getByLabel("Requests at once").fill("2");
  await page.getByLabel("US dollars a day (UTC)").fill("2.5");
  await page.getByLabel("Not with the fast tier").check();
  await looks(page, "admin-key");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("only chat; not fast; 2 at once; $2.5 a day").waitFor();
  await page.getByRole("link", { name: /^Change what acct_/ }).click();
  await page.getByLabel("Requests at once").fill("5");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("cell", { name: /^5 at once/ }).waitFor();

  await page.getByText("Make an invitation", { exact: true }).click();
  await page.getByLabel("Whom it is for").fill("Ada");
  await page.getByRole("button", { name: "Make it" }).click();
  await page.getByText(/^cmpinvite_/).waitFor();
  await looks(page, "admin-invitation");
  await page.goto(`${base}/admin`);
  assert.ok(!(await page.content()).includes("cmpinvite_"));
  await page.getByRole("button", { name: /^Revoke inv_/ }).click();
  await page.getByText("revoked", { exact: true }).waitFor();

  await page.getByRole("button", { name: /^Revoke key_/ }).click();
  await page.getByText(/revoked \d{4}/).waitFor();

  await page.getByText("Drain", { exact: true }).click();
  await page.getByRole("button", { name: "Take no more turns" }).click();
  await page.getByText("takes no new turns").waitFor();
  assert.equal((await fetch(`${base}/readyz`)).status, 503);
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByLabel("The operator's token").waitFor();
}, { allow: [/status of 403/] });

// Another site: its form is refused, and it can't show our pages in a frame.
const elsewhere = createServer((request, response) => {
  response.setHeader("Content-Type", "text/html");
  response.end(`<!doctype html><title>evil</title><iframe src="${base}/keys"></iframe><form method="post" action="${base}/admin/drain"><button>Win</button></form>`);
});
await new Promise((done) => elsewhere.listen(0, "127.0.0.1", done));
const evil = `http://127.0.0.1:${elsewhere.address().port}`;
try {
  await withPage("/admin", async (page, context) => {
    await page.goto(evil);
    const [answer] = await Promise.all([page.waitForResponse(`${base}/admin/drain`), page.getByRole("button", { name: "Win" }).click()]);
    assert.equal(answer.status(), 403);
  }, { allow: [/status of 403/, /frame-ancestors|Framing|X-Frame-Options|Refused to frame/i], elsewhere: evil });
} finally {
  elsewhere.close();
}
