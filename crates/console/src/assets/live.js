// Keeps the parts of a page that have `data-live` as the server has them: the stream of the page's own address sends the
// page's content whenever it changes. A hidden tab has no stream.
const FIRST_RETRY = 5_000;
const LAST_RETRY = 60_000;

const state = document.getElementById("live-state");
const button = document.getElementById("live-pause");
let stream;
let timer;
let retry = FIRST_RETRY;
let isPaused = false;

function show(text, word) {
  if (state.textContent !== text) state.textContent = text;
  state.className = `tag ${word}`;
}

function open() {
  close();
  if (isPaused || document.hidden) return;
  show("connecting", "");
  stream = new EventSource(location.pathname + location.search);
  stream.addEventListener("open", () => {
    retry = FIRST_RETRY;
    show("live", "good");
  });
  stream.addEventListener("page", (event) => update(event.data));
  stream.addEventListener("row", (event) => document.dispatchEvent(new CustomEvent("headgate:row", { detail: event.data })));
  stream.addEventListener("lost", (event) => document.dispatchEvent(new CustomEvent("headgate:lost", { detail: event.data })));
  stream.addEventListener("error", () => {
    if (stream.readyState !== EventSource.CLOSED) return show("reconnecting", "warning");
    // The server refused: too many streams are open, or the session has ended.
    show("not live", "bad");
    timer = setTimeout(open, retry);
    retry = Math.min(retry * 2, LAST_RETRY);
  });
}

function close() {
  clearTimeout(timer);
  stream?.close();
  stream = undefined;
}

function update(html) {
  const next = new DOMParser().parseFromString(html, "text/html");
  for (const now of document.querySelectorAll("[data-live]")) {
    const then = next.getElementById(now.id);
    if (!then || then.isEqualNode(now) || now.contains(document.activeElement) || holdsSelection(now)) continue;
    const places = tables(now).map((table) => [table.scrollLeft, table.scrollTop]);
    now.replaceWith(document.adoptNode(then));
    tables(then).forEach((table, at) => table.scrollTo(...(places[at] ?? [0, 0])));
  }
}

// What scrolls sideways on narrow screens.
function tables(element) {
  return [...element.querySelectorAll(".scroll")];
}

// Text that somebody marks to copy must not vanish under the pointer.
function holdsSelection(element) {
  const selection = getSelection();
  return selection.type === "Range" && selection.containsNode(element, true);
}

if (state && button) {
  button.hidden = false;
  button.addEventListener("click", () => {
    isPaused = !isPaused;
    button.textContent = isPaused ? "Resume" : "Pause";
    if (isPaused) {
      close();
      show("paused", "");
    } else {
      open();
    }
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  open();
}
