"use strict";
// Tables: a click on a heading sorts the rows below it, within their groups; the
// rows of changes and intervals stay with the row above them. Numbers begin with
// the largest. The third click gives the first order back.
for (const table of document.querySelectorAll("table")) {
  const head = table.tHead && table.tHead.rows[table.tHead.rows.length - 1];
  const body = table.tBodies[0];
  if (!head || !body) continue;
  const blocks = [[]];
  for (const row of body.rows) {
    if (row.classList.contains("group")) blocks.push([], []), blocks[blocks.length - 2].fixed = row;
    const block = blocks[blocks.length - 1];
    if (row.classList.contains("group")) continue;
    if (row.classList.contains("change") && block.length) block[block.length - 1].push(row);
    else block.push([row]);
  }
  if (Math.max(...blocks.map(b => b.length)) < 2) continue;
  const value = (lines, column) => {
    let at = 0;
    for (const cell of lines[0].cells) {
      if (at === column) return cell.textContent.trim();
      at += cell.colSpan;
    }
    return "";
  };
  const number = text => {
    const m = /^[+\-−]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?/i.exec(text.replace(/,(?=\d{3})/g, ""));
    return m ? Number(m[0].replace("−", "-")) : NaN;
  };
  let column = 0;
  for (const th of head.cells) {
    const here = column;
    column += th.colSpan;
    if (th.colSpan > 1 || !th.textContent.trim()) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...th.childNodes);
    th.append(button);
    button.addEventListener("click", () => {
      const was = th.getAttribute("aria-sort");
      const all = blocks.flat().map(l => value(l, here)).filter(t => t && t !== "–");
      const numeric = all.length > 0 && all.every(t => !Number.isNaN(number(t)));
      const [first, second] = numeric ? ["descending", "ascending"] : ["ascending", "descending"];
      const next = was === first ? second : was === second ? null : first;
      for (const other of head.cells) other.removeAttribute("aria-sort");
      if (next) th.setAttribute("aria-sort", next);
      const sign = next === "descending" ? -1 : 1;
      for (const block of blocks) {
        if (block.fixed) body.append(block.fixed);
        let order = block.map((lines, i) => ({lines, i, text: value(lines, here)}));
        if (next) order.sort((a, b) => {
          if (!numeric) return sign * a.text.localeCompare(b.text, "en", {numeric: true}) || a.i - b.i;
          const x = number(a.text), y = number(b.text);
          if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a.i - b.i;
          return sign * (x - y) || a.i - b.i;
        });
        for (const o of order) body.append(...o.lines);
      }
    });
  }
}

// Captions: search and filters.
const tools = document.querySelector(".tools");
if (tools) {
  tools.hidden = false;
  tools.addEventListener("submit", event => event.preventDefault());
  const query = document.getElementById("q");
  const modality = document.getElementById("modality");
  const count = document.getElementById("count");
  const none = document.getElementById("none");
  const boxes = [...tools.querySelectorAll("input[type=checkbox]")];
  const films = [...document.querySelectorAll(".films .film")].map(node => ({
    node,
    name: node.querySelector("figcaption b").textContent,
    texts: [...node.querySelectorAll(".reference p, .caption p:not(.other):not(.empty)")].map(p => ({p, text: p.textContent, system: p.parentNode.dataset.system})),
    captions: [...node.querySelectorAll(".caption")],
  }));
  const fold = s => s.toLowerCase().normalize("NFKC");
  const show = (part, words) => {
    const low = part.text.toLowerCase();
    const hits = [];
    if (low.length === part.text.length) for (const w of words) {
      for (let at = low.indexOf(w); at >= 0; at = low.indexOf(w, at + w.length)) hits.push([at, at + w.length]);
    }
    if (!hits.length && !part.marked) return;
    part.marked = hits.length > 0;
    hits.sort((a, b) => a[0] - b[0]);
    const nodes = [];
    let end = 0;
    for (const [from, to] of hits) {
      if (from < end) continue;
      const mark = document.createElement("mark");
      mark.textContent = part.text.slice(from, to);
      nodes.push(part.text.slice(end, from), mark);
      end = to;
    }
    part.p.replaceChildren(...nodes, part.text.slice(end));
  };
  const apply = () => {
    const words = fold(query.value).split(/\s+/).filter(Boolean);
    const on = new Set(boxes.filter(b => b.checked).map(b => b.value));
    let shown = 0;
    for (const f of films) {
      for (const c of f.captions) c.hidden = !on.has(c.dataset.system);
      const seen = f.texts.filter(t => t.system === undefined || on.has(t.system));
      const all = fold(f.name + "\n" + seen.map(t => t.text).join("\n"));
      const fits = (!modality || !modality.value || f.node.dataset.modality === modality.value) && words.every(w => all.includes(w));
      f.node.hidden = !fits;
      if (fits) {
        shown++;
        for (const t of f.texts) show(t, words);
      }
    }
    count.textContent = shown === films.length ? films.length + " images" : shown + " of " + films.length + " images";
    none.hidden = shown > 0;
  };
  tools.addEventListener("input", apply);
  apply();
}
