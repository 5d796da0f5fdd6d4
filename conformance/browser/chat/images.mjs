// Images: pasted, dropped, chosen, and by address. The server gets all of them.
import { assert, play, runs, shot } from "../page.mjs";
import { answered, playground, say } from "../playground.mjs";

// A picture of one red pixel.
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==";

/** give fires a paste or a drop with a file, as the browser does. */
function give(page, selector, kind, type = "image/png", name = "pixel.png") {
  return page.evaluate(
    ([selector, kind, type, name, pixel]) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(pixel), (c) => c.charCodeAt(0))], name, { type }));
      const event = kind === "paste" ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }) : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
      document.querySelector(selector).dispatchEvent(event);
    },
    [selector, kind, type, name, pixel],
  );
}

await playground(async (page) => {
  await play("turn always\ntext I see {images} of them.\n");
  const pictures = page.locator(".composer .images li");
  await give(page, "#prompt", "paste");
  await pictures.nth(0).waitFor();
  await give(page, ".thread", "drop");
  await pictures.nth(1).waitFor();
  await page.getByLabel("Image files").setInputFiles({ name: "third.png", mimeType: "image/png", buffer: Buffer.from(pixel, "base64") });
  await pictures.nth(2).waitFor();
  await give(page, ".thread", "drop", "image/svg+xml", "drawing.svg");
  await page.getByText("drawing.svg is not an image that the models take").waitFor();
  assert.equal(await pictures.count(), 3);

  await page.getByRole("button", { name: "By URL" }).click();
  await page.getByLabel("Address of an image").fill("javascript:alert(1)");
  await page.keyboard.press("Enter");
  await page.getByText("An image's address begins with").waitFor();
  await page.keyboard.press("Escape");

  await page.getByRole("button", { name: "Remove image 3" }).click();
  await shot(page, "images");
  await say(page, "How many?");
  await page.locator(".answer", { hasText: "I see 2 of them." }).waitFor();
  await answered(page);
  assert.equal((await runs())[0].images, 2);
  assert.equal(await page.locator(".user .images img").count(), 2);

  // One that lies elsewhere is named and not loaded: the page's rules would fail this test.
  await page.getByRole("button", { name: "By URL" }).click();
  await page.getByLabel("Address of an image").fill("https://pictures.test/cat.png");
  await page.keyboard.press("Enter");
  await page.locator(".composer .remote", { hasText: "https://pictures.test/cat.png" }).waitFor();
}, {});
