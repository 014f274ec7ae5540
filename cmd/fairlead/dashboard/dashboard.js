// Keeps the page up to date: it loads the page again and puts the new parts that are marked
// data-live in place of the old ones. What somebody works in is left alone.
"use strict";

const every = 5000;
let paused = false;

const button = document.createElement("button");
button.type = "button";
button.className = "live";
document.querySelector(".brand").append(button);

function say() {
  button.textContent = paused ? "Resume" : "Pause";
  button.title = paused ? "The page stays as it is" : "The page is updated every " + every / 1000 + " seconds";
}

button.addEventListener("click", () => {
  paused = !paused;
  say();
  if (!paused) update();
});

function selects(part) {
  const selection = getSelection();
  return !selection.isCollapsed && selection.containsNode(part, true);
}

// folds says which details of a part were opened or closed by hand.
function folds(part) {
  const list = new Map();
  for (const d of part.querySelectorAll("details[id]")) list.set(d.id, d.open);
  return list;
}

// refocus gives the focus to what stands for the element that had it.
function refocus(part, gone) {
  const same = [...part.querySelectorAll(gone.localName)].filter((e) => e.textContent === gone.textContent);
  same[0]?.focus({ preventScroll: true });
}

async function update() {
  const address = new URL(location.href);
  address.searchParams.delete("url"); // the answer stays; it is not asked for again
  address.hash = "";
  const response = await fetch(address, { headers: { Accept: "text/html" } });
  if (!response.ok) throw new Error(response.status);
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  document.title = fresh.title;
  for (const part of document.querySelectorAll("[data-live]")) {
    const now = fresh.getElementById(part.id);
    if (!now || part.innerHTML === now.innerHTML) continue;
    if (selects(part)) continue;
    const open = folds(part);
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    part.replaceChildren(...now.childNodes);
    if (focused) refocus(part, focused);
    for (const d of part.querySelectorAll("details[id]")) {
      if (open.has(d.id)) d.open = open.get(d.id);
    }
  }
}

setInterval(async () => {
  if (paused || document.hidden) return;
  try {
    await update();
    button.classList.remove("lost");
    say();
  } catch {
    button.textContent = "No connection";
  }
}, every);

say();
