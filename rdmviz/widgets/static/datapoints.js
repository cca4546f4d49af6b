// The table of datapoints: selected, strongest or found. Rows are made when the kernel sends others; values at the step are
// written into them when time comes to rest, and a few times a second while it moves.

const TABLE_REST_MS = 180;
const TABLE_UNSEEN_MS = 700; // a table that is scrolled away waits longer, and does not follow on the way
const TABLE_MOVING_MS = 500;
const TABLE_FIND_MS = 350;
const TABLE_TRAITS = ["rows", "columns", "values", "shades", "curves", "pictures", "sorted_by", "total", "page", "title", "caption", "note", "counts", "showing"];
const TABLE_VALUES = ["loss", "drift", "loading_x", "share_x", "loading_y", "share_y", "group"];
const TABLE_PAGE_ROWS = 50;

function renderDatapoints(model, el, scene) {
  const root = element("div", "rdmviz-view rdmviz-datapoints");
  el.append(root);
  const shared = sharedScene(scene);
  const send = (content) => model.send(content);
  const choose = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const bar = tableBar(root, model, choose, send);
  const box = element("div", "rdmviz-table-box");
  const table = element("table", "rdmviz-table");
  table.setAttribute("role", "grid");
  table.setAttribute("aria-multiselectable", "true");
  table.setAttribute("aria-label", "Datapoints");
  const [head, body] = [table.createTHead().insertRow(), table.createTBody()];
  box.append(table);
  const pager = tablePager(root, box, model, choose);

  let curvesAre = ""; // what the small curves show, in words
  let cells = []; // per row: the nodes of its values, tokens and curve
  let fresh = {};

  const header = (columns) => {
    const sort = model.get("sorted_by"); // what is there, not what is asked for
    const focused = head.querySelector(":focus")?.dataset.key;
    head.replaceChildren(
      ...columns.map(({ key, title, kind, help, sortable }) => {
        const cell = element("th", `rdmviz-${kind}-column`);
        cell.scope = "col";
        cell.title = kind === "curve" ? curvesAre : help;
        if (!sortable) {
          cell.append(isolated("span", "", title));
          return cell;
        }
        const [up, down] = [sort === key, sort === `-${key}`];
        cell.setAttribute("aria-sort", up ? "ascending" : down ? "descending" : "none");
        const button = isolated("button", "rdmviz-sort", title);
        button.type = "button";
        button.dataset.key = key;
        button.append(element("span", "rdmviz-arrow", up ? " ▲" : down ? " ▼" : ""));
        const first = ["value", "signed", "share"].includes(kind) ? `-${key}` : key; // the largest first, texts from A
        const second = first === key ? `-${key}` : key;
        button.addEventListener("click", () => choose("sort", sort === first ? second : sort === second ? "" : first));
        cell.append(button);
        return cell;
      }),
    );
    if (focused) [...head.querySelectorAll("button")].find((button) => button.dataset.key === focused)?.focus();
  };

  const fill = (rows, columns) => {
    const active = root.ownerDocument.activeElement;
    const focused = body.contains(active) ? active.closest("tr") : null;
    const [place, sample] = focused ? [focused.rowIndex - 1, focused.dataset.sample] : [-1, null];
    const pixels = typedTrait(model, "pictures", Uint8ClampedArray);
    const imageColumns = columns.filter((column) => column.kind === "image");
    let offset = 0;
    const pictures = imageColumns.map((_, c) =>
      rows.map((row) => {
        const [height, width] = row.images[c];
        const start = offset;
        offset += 4 * height * width;
        return pixels.slice(start, offset);
      }),
    );
    cells = [];
    body.replaceChildren(
      ...rows.map((row, r) => {
        const line = element("tr");
        line.dataset.sample = row.sample;
        line.tabIndex = -1;
        const made = { values: {}, tokens: [], curve: null, mark: null };
        for (const { key, title, kind } of columns) {
          const cell = line.insertCell();
          cell.className = `rdmviz-${kind}-column`;
          if (kind === "sample") cell.textContent = String(row.sample);
          else if (kind === "tokens") made.tokens = tokenStrip(cell, row);
          else if (kind === "image") {
            const c = imageColumns.findIndex((column) => column.key === key);
            thumbnail(cell, row.images[c], pictures[c][r], `${title} of datapoint ${row.sample}`);
          } else if (kind === "curve") {
            made.curve = smallCurve(cell, `Loss of datapoint ${row.sample} over the run`);
            made.mark = cell.appendChild(element("span", "rdmviz-curve-mark"));
          } else if (key in row.facts) {
            textCell(cell, row.facts[key], () => send({ kind: "text", sample: row.sample, key }));
            cell.dataset.key = key;
          } else made.values[key] = cell;
        }
        cells.push(made);
        return line;
      }),
    );
    const lines = [...body.rows];
    const again = lines.find((line) => line.dataset.sample === sample) ?? lines[Math.min(place, lines.length - 1)];
    (again ?? lines[0])?.setAttribute("tabindex", "0");
    if (focused) (again ?? bar.find).focus({ preventScroll: true });
  };

  const values = (columns) => {
    const numbers = typedTrait(model, "values", Float64Array);
    const shades = typedTrait(model, "shades", Uint8Array);
    let token = 0;
    cells.forEach((made, r) => {
      for (const { key, kind } of columns) {
        if (!made.values[key]) continue;
        const text = formatTableValue(kind, numbers[r * TABLE_VALUES.length + TABLE_VALUES.indexOf(key)]);
        if (made.values[key].textContent !== text) made.values[key].textContent = text;
      }
      for (const node of made.tokens) shadeToken(node, shades[token++]);
    });
  };

  const curves = () => {
    const rows = typedTrait(model, "curve_rows", Uint32Array);
    const losses = typedTrait(model, "curves", Float32Array);
    const [first, last] = [shared.steps[0], shared.steps[shared.steps.length - 1]];
    const places = Array.from(rows, (row) => (shared.steps[row] - first) / (last - first || 1));
    const scale = smallCurveScale(losses);
    cells.forEach((made, r) => drawSmallCurve(made.curve, losses.subarray(r * rows.length, (r + 1) * rows.length), places, scale));
    const every = rows.length < shared.steps.length ? `${rows.length} of ${formatStep(shared.steps.length)} recorded rows` : "every recorded row";
    curvesAre = `Loss at ${every}; one scale for all of these rows${scale.log ? ", logarithmic" : ""}`;
  };

  const marks = () => {
    const [selected, hovered] = [new Set(scene.get("selection")), new Set(scene.get("hovered"))];
    for (const line of body.rows) {
      const sample = Number(line.dataset.sample);
      line.setAttribute("aria-selected", String(selected.has(sample)));
      line.classList.toggle("rdmviz-hovered", hovered.has(sample));
    }
    for (const made of cells) {
      for (const node of made.tokens) node.classList.toggle("rdmviz-kept", selected.has(Number(node.dataset.sample)));
    }
  };

  // Where in the run the values are from: on the small curves.
  const cursor = (theme) => {
    const { steps } = shared;
    const share = (steps[model.get("at")] - steps[0]) / (steps[steps.length - 1] - steps[0] || 1);
    for (const { mark } of cells) {
      mark.style.transform = `translateX(${(share * (SMALL_CURVE_WIDTH - 2)).toFixed(1)}px)`;
      mark.style.background = theme.cursor;
    }
  };

  const [schedule, stopRedrawing] = redrawing(root, (theme) => {
    if (model.get("at") < 0) return; // nothing has come yet
    const [rows, columns] = [model.get("rows"), model.get("columns")];
    bar.show();
    pager.show();
    const others = rows !== fresh.rows || columns !== fresh.columns;
    if (others) fill(rows, columns);
    values(columns);
    if (others) curves();
    table.style.setProperty("--rdmviz-curve", theme.dark ? "#7cc0f0" : "#1670ad");
    const sorted = model.get("sorted_by");
    if (others || sorted !== fresh.sorted) header(columns);
    fresh = { rows, columns, sorted };
    marks();
    cursor(theme);
    root.dataset.step = String(shared.steps[model.get("at")]);
    root.dataset.rows = String(model.get("total"));
  });

  // What the kernel is asked for: values a few times a second on the way, everything at rest.
  let [resting, asked] = [0, 0];
  let seen = true;
  const watching = new IntersectionObserver((entries) => {
    const was = seen;
    seen = entries[entries.length - 1].isIntersecting;
    if (seen && !was && model.get("at") !== scene.get("index")) follow();
  });
  watching.observe(root);
  const ask = (moving) => send({ kind: "at", index: scene.get("index"), epoch: scene.get("epoch"), moving });
  const rest = (pause) => {
    clearTimeout(resting);
    resting = setTimeout(() => ask(false), pause);
  };
  const follow = () => {
    const now = performance.now();
    if (seen && now - asked > TABLE_MOVING_MS) {
      asked = now;
      ask(true);
    }
    rest(seen ? TABLE_REST_MS : TABLE_UNSEEN_MS);
  };

  const lineOf = (event) => event.target.closest?.("tbody tr");
  body.addEventListener("pointerover", (event) => {
    const node = event.target.closest(".rdmviz-token") ?? lineOf(event);
    if (node) hoverScene(scene, [Number(node.dataset.sample)]);
  });
  body.addEventListener("pointerleave", () => hoverScene(scene, []));
  body.addEventListener("focusin", (event) => {
    const line = lineOf(event);
    for (const other of body.querySelectorAll("tr[tabindex='0']")) other.tabIndex = -1;
    line.tabIndex = 0;
    hoverScene(scene, [Number(line.dataset.sample)]);
  });
  body.addEventListener("focusout", () => hoverScene(scene, []));
  body.addEventListener("click", (event) => {
    const node = event.target.closest(".rdmviz-token") ?? lineOf(event);
    if (!node || event.target.closest("button") || String(getSelection())) return; // marking text to copy is no click
    send({ kind: "toggle", sample: Number(node.dataset.sample) });
  });
  body.addEventListener("keydown", (event) => {
    if (event.target.tagName !== "TR") return;
    const lines = [...body.rows];
    const place = lines.indexOf(event.target);
    const to = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: lines.length - 1 }[event.key];
    if (to !== undefined) lines[Math.max(0, Math.min(to, lines.length - 1))].focus();
    else if (event.key === "Enter" || event.key === " ") send({ kind: "toggle", sample: Number(event.target.dataset.sample) });
    else return;
    event.preventDefault();
    event.stopPropagation(); // the host has shortcuts of its own for these keys
  });

  // The whole of a long text has come.
  const arrived = (content) => {
    if (content.kind !== "text") return;
    const line = [...body.rows].find((row) => Number(row.dataset.sample) === content.sample);
    const cell = line && [...line.cells].find((one) => one.dataset.key === content.key);
    if (cell) cell.firstChild.textContent = content.text;
  };
  model.on("msg:custom", arrived);
  const stops = [
    stopRedrawing,
    listening(model, TABLE_TRAITS.concat("at"), schedule),
    listening(scene, ["index"], follow),
    listening(scene, ["epoch"], () => rest(TABLE_UNSEEN_MS)), // after the pictures, and not for every window that is tried
    listening(scene, ["selection", "hovered"], () => requestAnimationFrame(marks)),
    listening(scene, ["steps"], schedule),
    () => model.off("msg:custom", arrived),
    () => clearTimeout(resting),
    () => watching.disconnect(),
    bar.stop,
  ];
  ask(false);
  return () => stops.forEach((stop) => stop());
}

// Above the table: whose rows, Find, what they have in common.
function tableBar(root, model, choose, send) {
  const figcaption = element("div", "rdmviz-table-head");
  const title = element("span", "rdmviz-title", "Datapoints");
  const whose = element("div", "rdmviz-whose");
  whose.setAttribute("role", "group");
  whose.setAttribute("aria-label", "Whose rows are shown");
  const choices = ["strongest", "selected", "found"].map((name) => {
    const button = element("button");
    button.type = "button";
    button.addEventListener("click", () => choose("showing", name));
    whose.append(button);
    return [name, button];
  });
  const find = element("input", "rdmviz-find");
  find.type = "search";
  find.placeholder = "Find a word, column:value";
  find.setAttribute("aria-label", "Find datapoints by text or metadata");
  find.title = 'A word or "several words" in any text; column:value; column=exactly; column>number. All terms have to fit.';
  find.value = model.get("query");
  let waiting = 0;
  const ask = () => {
    clearTimeout(waiting);
    if (find.value !== model.get("query")) choose("query", find.value);
  };
  find.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(ask, find.value ? TABLE_FIND_MS : 0);
  });
  find.addEventListener("keydown", (event) => {
    event.stopPropagation(); // letters are no shortcuts of the host here
    if (event.key === "Enter") ask();
  });
  const all = element("button", "rdmviz-plain", "Select all");
  const clear = element("button", "rdmviz-plain", "Clear");
  for (const button of [all, clear]) button.type = "button";
  clear.title = "Forget the selection and what was looked for";
  all.addEventListener("click", () => send({ kind: "select_all" }));
  clear.addEventListener("click", () => send({ kind: "clear" }));
  figcaption.append(title, explainButton("datapoints", root), whose, find, all, clear);
  const caption = element("div", "rdmviz-table-caption");
  const note = element("div", "rdmviz-table-note");
  for (const node of [caption, note]) {
    node.dir = "auto";
    node.setAttribute("role", "status");
  }
  const told = element("div", "rdmviz-table-told"); // one place for both, so that nothing below moves
  told.append(caption, note);
  root.append(figcaption, told);
  const changed = listening(model, ["query"], () => {
    if (find !== find.ownerDocument.activeElement) find.value = model.get("query");
    else if (!model.get("query")) find.value = "";
  });

  const show = () => {
    const [counts, showing] = [model.get("counts"), model.get("showing")];
    const strongest = showing === "strongest" ? model.get("title") : "Strongest";
    const names = {
      strongest,
      selected: `Selected ${formatStep(counts.selected)}`,
      found: counts.found < 0 ? "Found" : `Found ${formatStep(counts.found)}`,
    };
    for (const [name, button] of choices) {
      button.textContent = names[name];
      button.setAttribute("aria-pressed", String(name === showing));
    }
    const total = model.get("total");
    all.textContent = `Select all ${formatStep(total)}`;
    all.hidden = showing === "selected" || !total;
    clear.disabled = !counts.selected && !model.get("query");
    caption.textContent = model.get("caption");
    caption.hidden = !caption.textContent;
    note.textContent = model.get("note");
    note.hidden = !note.textContent;
  };
  return {
    find,
    show,
    stop: () => {
      clearTimeout(waiting);
      changed();
    },
  };
}

// Below the table: which of the rows are shown, and the way to the others.
function tablePager(root, box, model, choose) {
  const pager = element("div", "rdmviz-pager");
  const back = element("button", "rdmviz-plain", "Previous");
  const on = element("button", "rdmviz-plain", "Next");
  const words = element("span", "rdmviz-hint");
  words.setAttribute("role", "status");
  const turn = (by) => choose("page", model.get("page") + by);
  for (const [button, by] of [[back, -1], [on, 1]]) {
    button.type = "button";
    button.addEventListener("click", () => {
      box.scrollTop = 0;
      turn(by);
    });
  }
  pager.append(words, back, on);
  root.append(box, pager);
  return {
    show: () => {
      const [page, total, held] = [model.get("page"), model.get("total"), model.get("rows").length];
      const first = page * TABLE_PAGE_ROWS + 1;
      words.textContent = !total ? "" : total > TABLE_PAGE_ROWS ? `Showing ${formatStep(first)}–${formatStep(first + held - 1)} of ${formatStep(total)}` : `${formatStep(total)} of ${formatStep(model.get("of"))} datapoints`;
      back.disabled = page === 0;
      on.disabled = first + held > total;
      back.hidden = on.hidden = total <= TABLE_PAGE_ROWS;
      box.hidden = !total;
    },
  };
}
