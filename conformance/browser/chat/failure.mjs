// Failures are told as the server says them. What came before stays, and a retry makes a branch beside it.
import { accessible, assert, play, shot } from "../page.mjs";
import { answered, playground, say } from "../playground.mjs";

await playground(
  async (page) => {
    // In the middle of the stream.
    await play("turn\ntext Half of it.\ndelay 100ms\nerror internal detail=59 retryable=false title=\"Internal\" Something broke.\n\nturn always\ntext The whole of it.\n");
    await say(page, "Tell me.");
    let answer = await answered(page, "failed");
    await answer.getByText("Half of it.").waitFor();
    assert.notEqual(await answer.getByRole("alert").innerText(), "");
    assert.match(await answer.locator("[data-figure=request] dd").innerText(), /^req_/);
    await accessible(page, "a failed answer");
    await shot(page, "failure");
    await answer.getByRole("button", { name: "Retry" }).click();
    answer = await answered(page);
    await answer.getByText("The whole of it.").waitFor();
    await answer.getByText("2 of 2").waitFor();
    await answer.getByRole("button", { name: "Previous branch" }).click();
    await page.locator(".answer", { hasText: "Half of it." }).waitFor();

    // Before it.
    await play('turn\nerror unauthenticated detail=1 retryable=false title="Invalid API key" The key was revoked.\n');
    await page.getByRole("button", { name: "New conversation" }).click();
    await say(page, "And now?");
    answer = await answered(page, "failed");
    assert.match(await answer.getByRole("alert").innerText(), /Status 401/);

    // The server is gone.
    await page.context().setOffline(true);
    await answer.getByRole("button", { name: "Retry" }).click();
    await page.getByText("The server can't be reached. Is it still running?").waitFor();
    await page.context().setOffline(false);
    await play("turn\ntext Back again.\n");
    await (await answered(page, "failed")).getByRole("button", { name: "Retry" }).click();
    await page.locator(".answer", { hasText: "Back again." }).waitFor();
    await page.getByText("3 of 3").waitFor();
  },
  { allow: [/ERR_INTERNET_DISCONNECTED/] },
);
