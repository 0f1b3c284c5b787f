// Puts the lines of the stream on top of the table of live requests.
const MOST = 300;

const rows = document.getElementById("tap-rows");
const shown = document.getElementById("tap-shown");
const lost = document.getElementById("tap-lost");
const template = new DOMParser();
let waiting = [];
let isDrawing = false;
let count = 0;

document.addEventListener("headgate:row", (event) => {
  waiting.push(event.detail);
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(draw);
});

document.addEventListener("headgate:lost", (event) => (lost.textContent = event.detail));

function draw() {
  isDrawing = false;
  const lines = waiting;
  waiting = [];
  count += lines.length;
  document.getElementById("tap-empty")?.remove();
  const table = template.parseFromString(`<table><tbody>${lines.reverse().join("")}</tbody></table>`, "text/html");
  rows.prepend(...[...table.querySelectorAll("tr")].map((row) => document.adoptNode(row)));
  while (rows.rows.length > MOST) rows.rows[rows.rows.length - 1].remove();
  shown.textContent = count.toLocaleString("en");
}
