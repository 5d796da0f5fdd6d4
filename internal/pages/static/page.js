// What a script adds to the pages: buttons that copy. Everything else works without it.

// copy puts text on the clipboard. Over plain HTTP from another machine a browser has no navigator.clipboard.
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "off-screen";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("refused");
}

// addButton puts a button behind an element, whose text it copies.
function addButton(element, what) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copier";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy ${what}`);
  button.addEventListener("click", async () => {
    try {
      await copy(element.textContent.trimEnd());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select it by hand";
    }
    status.textContent = button.textContent;
    setTimeout(() => { button.textContent = "Copy"; status.textContent = ""; }, 2000);
  });
  element.after(button);
}

// For those who hear the page: what a button has done.
const status = document.createElement("p");
status.className = "off-screen";
status.setAttribute("role", "status");
document.body.append(status);

for (const pre of document.querySelectorAll("main pre")) {
  const frame = document.createElement("div");
  frame.className = "framed";
  pre.replaceWith(frame);
  frame.append(pre);
  addButton(pre, "these lines");
}
for (const code of document.querySelectorAll("code.copy")) addButton(code, code.textContent);
