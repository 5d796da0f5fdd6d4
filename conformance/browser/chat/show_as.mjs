// "Show as": the code that is shown asks for the same thing when it is run.
import { spawnSync } from "node:child_process";
import { accessible, assert, key, play, runs, shot } from "../page.mjs";
import { answered, playground, say } from "../playground.mjs";

await playground(async (page) => {
  await play('turn always\ntext "You said: {line}"\n');
  await page.getByLabel("System text").fill(`Say "it's" with a \\ and a $HOME.`);
  await page.getByLabel("Clock").check();
  await say(page, `What's "this"? \\n $(id) 'x'`);
  const answer = await answered(page);
  await answer.getByRole("button", { name: "Show as code" }).click();
  const dialog = page.getByRole("dialog");
  await accessible(page, "the request as code");
  await shot(page, "code");
  const shown = async (form) => {
    await dialog.getByText(form, { exact: true }).click();
    return await dialog.locator("pre").textContent();
  };
  const env = { ...process.env, COMPOSER_API_KEY: key };
  const run = (program, args, input) => {
    const done = spawnSync(program, args, { input, env, encoding: "utf8" });
    assert.equal(done.status, 0, done.stderr);
    return done.stdout;
  };
  const prompts = async () => (await runs()).map((r) => r.prompt);

  const curl = await shown("curl");
  assert.ok(!curl.includes(key), "the key is in no code");
  assert.match(run("bash", ["-c", curl]), /You said/);
  assert.match(run(process.execPath, ["--input-type=module", "-"], await shown("TypeScript")), /You said/);
  const python = await shown("Python");
  run("python3", ["-c", "import ast, sys; ast.parse(sys.stdin.read())"], python);
  assert.match(python, /base_url="http:/);

  const [page1, curl1, typescript1] = await prompts();
  assert.equal(curl1, page1, "curl asks for the same");
  assert.equal(typescript1, page1, "TypeScript asks for the same");
  assert.deepEqual((await runs()).map((r) => r.tools), [["clock"], ["clock"], ["clock"]]);

  const events = await shown("Raw events");
  assert.match(events, /^data: \{.*"role":"assistant"/);
  assert.match(events, /data: \[DONE\]\n$/);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });

  // The next request, before it is sent; and a setting that can't be sent.
  await page.getByLabel("JSON schema").fill("{");
  await page.getByRole("button", { name: "Code", exact: true }).click();
  await dialog.getByText("The JSON schema is not a JSON object.").waitFor();
});
