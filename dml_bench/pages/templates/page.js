"use strict";
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// --- light and dark: the system's, until a person says otherwise ---------------------------
const root = document.documentElement;
const button = document.getElementById("theme");
const system = matchMedia("(prefers-color-scheme: dark)");
const remembered = (value) => {
  try { // a page from disk may have no storage
    if (value) localStorage.setItem("dml_bench theme", value);
    return localStorage.getItem("dml_bench theme");
  } catch { return null; }
};
const theme = () => root.dataset.theme || (system.matches ? "dark" : "light");
const name = () => { button.textContent = theme() === "dark" ? "Light theme" : "Dark theme"; };
if (["light", "dark"].includes(remembered())) root.dataset.theme = remembered();
button.addEventListener("click", () => {
  root.dataset.theme = theme() === "dark" ? "light" : "dark";
  remembered(root.dataset.theme);
  name();
});
system.addEventListener("change", name);
name();

// --- tables: sorted by any column, filtered by words and choices, columns shown when asked ------
const natural = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const order = (at, numeric, down) => (a, b) => {
  const [x, y] = [a.cells[at], b.cells[at]];
  const [empty, other] = [!x.textContent, !y.textContent];
  if (empty || other) return empty - other; // what is not there stays below
  const found = numeric ? x.dataset.v - y.dataset.v : natural.compare(x.textContent, y.textContent);
  return down ? -found : found;
};
function sort(table, head) {
  const numeric = head.classList.contains("number");
  const before = head.getAttribute("aria-sort");
  const down = before === "none" ? numeric : before === "ascending"; // numbers: the largest first
  for (const other of all("th", table)) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0];
  body.append(...[...body.rows].sort(order(head.cellIndex, numeric, down)));
}
function filter(part) {
  const table = part.querySelector(".results");
  const words = part.querySelector(".filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const heads = all("th", table).map((head) => head.dataset.name);
  const choices = all(".choice", part).filter((choice) => choice.value)
    .map((choice) => [heads.indexOf(choice.dataset.column), choice.value]);
  const rows = [...table.tBodies[0].rows];
  for (const row of rows) {
    const text = [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase();
    const fits = choices.every(([at, value]) => row.cells[at].textContent === value);
    row.hidden = !(fits && words.every((word) => text.includes(word)));
  }
  const shown = rows.filter((row) => !row.hidden).length;
  part.querySelector(".count").textContent = `${shown} of ${rows.length} rows`;
}
function show(table, at, shown) {
  for (const row of table.rows) row.cells[at].classList.toggle("off", !shown);
}
const narrow = matchMedia("(max-width: 720px)").matches; // then what was reached stands first
for (const table of all(".results")) {
  const part = table.closest(".part");
  for (const head of all("th", table)) {
    head.querySelector("button").addEventListener("click", () => sort(table, head));
  }
  part.querySelector(".filter").addEventListener("input", () => filter(part));
  for (const choice of all(".choice", part)) choice.addEventListener("change", () => filter(part));
  for (const box of all(".columns input", part)) {
    if (narrow && "setup" in box.dataset) box.checked = false;
    const apply = () => show(table, Number(box.dataset.at), box.checked);
    box.addEventListener("change", apply);
    apply();
  }
  filter(part);
}
document.addEventListener("click", (event) => {
  for (const open of all(".columns[open]")) if (!open.contains(event.target)) open.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of all(".columns[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});

// --- what is wider than its place fades where there is more of it ---------------------------
for (const part of all(".scroll")) {
  const mark = () => {
    const left = part.scrollWidth - part.clientWidth - part.scrollLeft;
    part.classList.toggle("more", left > 2);
  };
  part.addEventListener("scroll", mark, { passive: true });
  const watch = new ResizeObserver(mark);
  for (const seen of [part, ...part.children]) watch.observe(seen);
}

// --- what a link leads to is unfolded, and so is what that lies in ---------------------------
const unfold = (target) => {
  for (let part = target; part; part = part.parentElement) {
    if (part.localName === "details") part.open = true;
  }
};
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (link) unfold(document.getElementById(link.getAttribute("href").slice(1)));
});
addEventListener("load", () => unfold(document.querySelector(":target")));
addEventListener("hashchange", () => unfold(document.querySelector(":target")));

// --- close-ups: one run at a time ---------------------------------------------------------
for (const choice of all(".run")) {
  const runs = all(".closeup", choice.closest(".part"));
  const apply = () => runs.forEach((run, at) => { run.hidden = at !== Number(choice.value); });
  choice.addEventListener("change", apply);
  apply();
}

// --- maps: an image at a time, pointed at or stepped to -------------------------------------
for (const map of all(".map")) {
  const svg = map.querySelector("svg");
  const points = all("use", svg);
  const atlas = JSON.parse(map.closest(".part").querySelector(".atlas").textContent);
  const [picture, said, verdict, id] = all(".pic, .name, .verdict, .id", map.querySelector(".card"));
  const about = (point) => atlas[Number(point.dataset.i)];
  const place = (point) => [point.x.baseVal.value, point.y.baseVal.value];
  let here = null;
  const choose = (point) => {
    here = point;
    svg.classList.add("chosen");
    const [x, y, named, key] = about(point);
    for (const other of points) {
      other.classList.toggle("same", other !== point && about(other)[2] === named);
      other.classList.toggle("here", other === point);
    }
    picture.classList.toggle("none", x === null);
    picture.style.setProperty("--x", x);
    picture.style.setProperty("--y", y);
    said.textContent = named;
    verdict.textContent = point.getAttribute("href") === "#hit"
      ? "Its nearest is of its class." : "Its nearest is of another class.";
    id.textContent = key;
  };
  const nearest = (x, y, allowed) => {
    const far = (point) => Math.hypot(place(point)[0] - x, place(point)[1] - y);
    return points.filter(allowed).reduce((best, one) => (!best || far(one) < far(best) ? one : best), null);
  };
  const point = (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const found = nearest(at.x, at.y, (one) => Math.hypot(place(one)[0] - at.x, place(one)[1] - at.y) < 40);
    if (found && found !== here) choose(found);
  };
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("click", point);
  svg.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const [x, y] = here ? place(here) : [500, 500];
    const ahead = (one) => { // within 45 degrees of the arrow
      const [dx, dy] = [place(one)[0] - x, place(one)[1] - y];
      const along = dx * step[0] + dy * step[1];
      return one !== here && along > 0 && along >= Math.abs(dx * step[1] + dy * step[0]);
    };
    const found = nearest(x, y, here ? ahead : () => true);
    if (found) choose(found);
  });
}

// --- commands to copy -----------------------------------------------------------------------
for (const copy of all(".copy")) {
  copy.addEventListener("click", async () => {
    const text = copy.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(text.textContent);
      copy.textContent = "Copied";
    } catch { // from disk a browser may refuse: then it is selected, ready to be copied
      getSelection().selectAllChildren(text);
      copy.textContent = "Selected";
    }
  });
}
