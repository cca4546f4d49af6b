// Keep and share: bookmarks with notes, pictures and tables as downloads, the present view as code.

const KEEP_NAMES = {
  map: "Datapoint map", matrix: "2RDM matrix", spectrum: "Spectrum plot", curves: "Warning curves",
};
const KEEP_TABLES = {
  curves: "Warning curves, all steps", spectrum: "Spectrum at this step", modes: "Eigenmodes at this step",
  groups: "Groups at this step", selection: "Selected datapoints",
};
const KEEP_FORMATS = { svg: "SVG", png: "PNG", pdf: "PDF" };
const KEEP_CODE_MS = 300;

function renderKeep(model, el, scene) {
  const root = element("div", "rdmviz-view rdmviz-keep");
  const row = element("div", "rdmviz-keep-row");
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", "Keep and share");
  const said = element("span", "rdmviz-keep-said");
  said.setAttribute("role", "status");
  root.append(row);
  el.append(root);
  const shared = sharedScene(scene);

  // Each question to the kernel has a number, and the answer the same.
  const waiting = new Map();
  let asked = 0;
  const ask = (content) =>
    new Promise((resolve, reject) => {
      waiting.set(++asked, [resolve, reject]);
      model.send({ ...content, row: scene.get("index"), id: asked });
    });
  const heard = (content, buffers) => {
    const [resolve, reject] = waiting.get(content.id) ?? [];
    waiting.delete(content.id);
    if (content.kind === "trouble") reject?.(new Error(content.text));
    else resolve?.({ ...content, buffers });
  };
  model.on("msg:custom", heard);
  const say = (text, trouble = false) => {
    said.textContent = text;
    said.classList.toggle("rdmviz-keep-trouble", trouble);
  };
  // While the kernel works on it, the button waits; what goes wrong is told in words.
  const pressing = (button, working, work) => async () => {
    button.disabled = true;
    say(working);
    try {
      say((await work()) ?? "");
    } catch (error) {
      say(error.message, true);
    }
    button.disabled = false;
  };

  const panels = [];
  const panelOf = (button) => {
    const panel = element("div", "rdmviz-keep-panel");
    panel.hidden = true;
    button.setAttribute("aria-expanded", "false");
    const toggle = (open) => {
      for (const [other, its] of panels) {
        const is = open && other === button;
        other.setAttribute("aria-expanded", String(is));
        its.hidden = !is;
      }
      say("");
      if (!open) return;
      panel.dispatchEvent(new Event("opened"));
      panel.scrollIntoView({ block: "nearest" });
    };
    panels.push([button, panel]);
    button.addEventListener("click", () => toggle(panel.hidden));
    for (const part of [button, panel]) {
      part.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || panel.hidden) return;
        event.stopPropagation();
        toggle(false);
        button.focus();
      });
    }
    return panel;
  };

  // Bookmarks.
  const note = element("input");
  note.type = "text";
  note.placeholder = "Note on this step";
  note.setAttribute("aria-label", "Note on this step");
  note.maxLength = 500;
  const add = keepButton("Bookmark", "Keep this step, with the note");
  const save = pressing(add, "", async () => {
    await ask({ kind: "bookmark", note: note.value.trim() });
    note.value = "";
    return `Bookmarked step ${formatStep(shared.steps[scene.get("index")])}`;
  });
  add.addEventListener("click", save);
  note.addEventListener("keydown", (event) => {
    event.stopPropagation(); // the notebook has its own meaning for these keys
    if (event.key === "Enter") save();
  });
  const listed = keepButton("Bookmarks", "Steps that were kept, to go back to");
  const list = element("ul", "rdmviz-keep-list");
  const kept = element("p");
  const showBookmarks = () => {
    const marks = scene.get("bookmarks");
    listed.textContent = `Bookmarks (${marks.length})`;
    list.replaceChildren(...marks.map((mark) => bookmarkEntry(mark)));
    if (!marks.length) list.append(element("li", "rdmviz-hint", "None yet: go to a step, write a note, press Bookmark."));
    kept.textContent = model.get("bookmarks_kept");
  };
  const bookmarkEntry = (mark) => {
    const entry = element("li");
    const go = keepButton(`step ${formatStep(mark.step)}`, "Go to this step");
    go.addEventListener("click", () => moveScene(scene, nearestRow(shared.steps, mark.step)));
    const away = keepButton("Delete", "Delete this bookmark");
    away.setAttribute("aria-label", `Delete the bookmark at step ${formatStep(mark.step)}: ${mark.note}`);
    away.addEventListener("click", pressing(away, "", () => ask({ kind: "forget", ...mark }).then(() => "Deleted")));
    entry.append(go, element("span", "", mark.note), away);
    return entry;
  };
  const bookmarks = panelOf(listed);
  bookmarks.append(list, kept);

  // Pictures and tables.
  const picture = keepButton("Save picture", "A figure for a paper, drawn anew from the same numbers");
  const pictures = panelOf(picture);
  const view = keepSelect("Picture", model.get("views"), KEEP_NAMES);
  const format = keepSelect("Format", Object.keys(KEEP_FORMATS), KEEP_FORMATS);
  const draw = keepButton("Download picture");
  draw.addEventListener("click", pressing(draw, "Drawing …", async () =>
    keepFile(await ask({ kind: "picture", view: view.value, format: format.value }))));
  pictures.append(keepRow(view, format, draw));

  const table = keepButton("Save table", "Numbers in full, as CSV");
  const tables = panelOf(table);
  const which = keepSelect("Table", model.get("tables"), KEEP_TABLES);
  const write = keepButton("Download CSV");
  write.addEventListener("click", pressing(write, "Writing …", async () => keepFile(await ask({ kind: "table", table: which.value }))));
  tables.append(keepRow(which, write));

  // Code.
  const code = keepButton("Copy code", "Python that opens this view again");
  const codes = panelOf(code);
  const text = element("textarea");
  text.readOnly = true;
  text.rows = 6;
  text.setAttribute("aria-label", "Python that opens this view again");
  text.addEventListener("keydown", (event) => event.key !== "Escape" && event.stopPropagation());
  const copy = keepButton("Copy to clipboard");
  copy.addEventListener("click", () => say(keepCopied(text) ? "Copied" : "Selected: press Ctrl+C or ⌘C to copy"));
  codes.append(text, keepRow(copy));
  let renewing = 0;
  const renew = () => {
    clearTimeout(renewing);
    if (codes.hidden) return;
    renewing = setTimeout(async () => {
      try {
        text.value = (await ask({ kind: "code" })).text;
        text.rows = Math.min(16, text.value.split("\n").length);
      } catch (error) {
        say(error.message, true);
      }
    }, text.value ? KEEP_CODE_MS : 0);
  };
  codes.addEventListener("opened", renew);

  row.append(note, add, listed, picture, table, code, said);
  root.append(bookmarks, pictures, tables, codes);
  showBookmarks();
  const changed = () => renew();
  scene.on("change", changed); // any part of the view may be in the code
  const stops = [
    listening(scene, ["bookmarks", "steps"], showBookmarks),
    listening(model, ["bookmarks_kept"], showBookmarks),
    () => scene.off("change", changed),
    () => model.off("msg:custom", heard),
    () => clearTimeout(renewing),
  ];
  return () => stops.forEach((stop) => stop());
}

function keepButton(label, title = "") {
  const button = element("button", "", label);
  button.type = "button";
  button.title = title;
  return button;
}

function keepSelect(label, values, names) {
  const select = element("select");
  select.setAttribute("aria-label", label);
  for (const value of values) {
    const option = element("option", "", names[value] ?? value);
    option.value = value;
    select.append(option);
  }
  return select;
}

function keepRow(...parts) {
  const row = element("div", "rdmviz-keep-row");
  row.append(...parts);
  return row;
}

// Hand bytes from the kernel to the person as a download.
function keepFile({ name, type, buffers }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([buffers[0]], { type }));
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return `Saved ${name}`;
}

// The old way to copy asks for no permission; where a page forbids it, too, the text is selected to be copied by hand.
function keepCopied(area) {
  area.focus();
  area.select();
  return document.execCommand("copy");
}
