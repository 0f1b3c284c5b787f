// What a page can do better with scripts than without: copy its link, put the cursor into the search with `/`, and show the
// name of the page in a row that is too narrow for all.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const before = button.textContent;
    await navigator.clipboard.writeText(location.href);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = before), 1_500);
  });
}

addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input, textarea, select");
  if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.querySelector("input[type=search]");
  if (!search) return;
  event.preventDefault();
  search.focus();
  search.select();
});

const current = document.querySelector("nav a[aria-current]");
const row = current?.closest("ul");
if (row) row.scrollLeft = current.offsetLeft - row.offsetLeft - 24;
