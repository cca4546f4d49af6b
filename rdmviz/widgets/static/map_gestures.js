// Hands on the map. A plain drag draws a lasso, a click selects (Shift adds, Alt takes away); space, the middle button, the
// pan tool or two fingers move the map; the wheel zooms once the map has the focus, or with Ctrl, so that a page can
// be scrolled past it. From the keyboard: + − 0 and the arrows, Page Up/Down point at datapoints from the outermost
// inward, Enter selects, Escape clears.

const CLICK_PIXELS = 4;
const KEY_SHIFT = 0.1;
const WHEEL_ZOOM = 0.0018;

class MapGestures {
  // `map` has picture, zoom, schedule, select(places, how), point(place), tool, hint(text).
  constructor(canvas, root, map) {
    [this.canvas, this.root, this.map] = [canvas, root, map];
    this.pointers = new Map();
    this.drag = null; // { kind: "lasso" | "pan" | "pinch", ... }
    this.space = false;
    canvas.tabIndex = 0;
    const on = (name, listener, options) => canvas.addEventListener(name, listener, options);
    on("pointerdown", (event) => this.down(event));
    on("pointermove", (event) => this.move(event));
    on("pointerup", (event) => this.up(event));
    on("pointercancel", () => this.cancel());
    on("pointerleave", () => {
      if (!this.drag) map.point(-1);
    });
    on("wheel", (event) => this.wheel(event), { passive: false });
    on("keydown", (event) => this.key(event));
    on("keyup", (event) => {
      if (event.key === " ") this.holdSpace(false);
    });
    on("blur", () => {
      this.holdSpace(false);
      if (!canvas.matches(":hover")) map.point(-1); // it was pointed at by keys
    });
    for (const name of ["mousedown", "auxclick"]) {
      on(name, (event) => {
        if (event.button === 1) event.preventDefault(); // the middle button would scroll, or paste
      });
    }
  }

  cursor() {
    const panning = this.map.tool === "pan" || this.space;
    this.canvas.style.cursor = this.drag?.kind === "pan" ? "grabbing" : panning ? "grab" : this.map.pointed >= 0 ? "pointer" : "crosshair";
  }

  holdSpace(held) {
    this.space = held;
    this.cursor();
  }

  down(event) {
    if (event.button > 1) return;
    event.preventDefault(); // no text is selected, no page scrolled
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    const place = placeOfEvent(event);
    this.pointers.set(event.pointerId, place);
    if (this.pointers.size === 2) {
      const [a, b] = [...this.pointers.values()];
      this.drag = { kind: "pinch", from: [a, b] };
    } else if (event.button === 1 || this.space || this.map.tool === "pan") {
      this.drag = { kind: "pan", at: place };
    } else {
      this.drag = { kind: "lasso", path: [place], how: event.shiftKey ? "add" : event.altKey ? "remove" : "set" };
    }
    this.cursor();
  }

  move(event) {
    const { map, drag } = this;
    const place = placeOfEvent(event);
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, place);
    if (!drag) {
      map.point(map.picture.pick(...place));
      return this.cursor();
    }
    if (drag.kind === "lasso") {
      for (const part of event.getCoalescedEvents?.() ?? [event]) drag.path.push(this.placeOfPart(part, event, place));
      map.picture.lasso = drag.path;
    } else if (drag.kind === "pan") {
      this.shiftBy(place[0] - drag.at[0], place[1] - drag.at[1]);
      drag.at = place;
    } else if (this.pointers.size === 2) {
      const [a, b] = [...this.pointers.values()];
      const spread = ([p, q]) => Math.hypot(p[0] - q[0], p[1] - q[1]) || 1;
      const middle = ([p, q]) => [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2];
      const [before, now] = [middle(drag.from), middle([a, b])];
      this.shiftBy(now[0] - before[0], now[1] - before[1]);
      map.zoom.by(spread([a, b]) / spread(drag.from), ...map.picture.shareAt(...now));
      drag.from = [a, b];
    }
    map.schedule();
  }

  // A fast hand makes several moves between two screen refreshes; a lasso keeps all of them.
  placeOfPart(part, event, place) {
    return [place[0] + part.clientX - event.clientX, place[1] + part.clientY - event.clientY];
  }

  shiftBy(dx, dy) {
    const { width, height } = this.map.picture.plot;
    this.map.zoom.shift(dx / width, -dy / height);
  }

  up(event) {
    const { map, drag } = this;
    this.pointers.delete(event.pointerId);
    if (drag?.kind === "pinch" && this.pointers.size) return; // the other finger is still down
    this.drag = null;
    if (drag?.kind === "lasso") {
      const [x, y] = drag.path[0];
      const far = drag.path.some(([px, py]) => Math.hypot(px - x, py - y) > CLICK_PIXELS);
      map.picture.lasso = null;
      if (far) {
        map.select(map.picture.inside(drag.path), drag.how);
      } else {
        const k = map.picture.pick(x, y);
        if (event.pointerType === "touch") map.point(k); // a finger cannot hover
        map.select(k < 0 ? [] : [k], drag.how === "set" ? "set" : "toggle");
      }
    }
    map.schedule();
    this.cursor();
  }

  cancel() {
    this.pointers.clear();
    this.drag = null;
    this.map.picture.lasso = null;
    this.map.schedule();
    this.cursor();
  }

  wheel(event) {
    if (!(event.ctrlKey || event.metaKey || document.activeElement === this.canvas)) {
      this.map.hint("Click the map first, or hold Ctrl, to zoom with the wheel.");
      return;
    }
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    this.map.zoom.by(Math.exp(-event.deltaY * lines * WHEEL_ZOOM), ...this.map.picture.shareAt(...placeOfEvent(event)));
    this.map.schedule();
  }

  key(event) {
    const { map } = this;
    const shift = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.ctrlKey || event.metaKey) return;
    if (shift) map.zoom.shift(KEY_SHIFT * shift[0], KEY_SHIFT * shift[1]);
    else if (event.key === "+" || event.key === "=") map.zoom.by(1.25);
    else if (event.key === "-") map.zoom.by(1 / 1.25);
    else if (event.key === "0") map.zoom.reset();
    else if (event.key === " ") this.holdSpace(true);
    else if (event.key === "PageDown") map.pointNext(1);
    else if (event.key === "PageUp") map.pointNext(-1);
    else if (event.key === "Enter") map.select(map.pointed < 0 ? [] : [map.pointed], event.shiftKey ? "toggle" : "set");
    else if (event.key === "Escape") {
      if (this.drag) this.cancel();
      else {
        map.point(-1);
        map.select([], "set");
      }
    } else return;
    event.preventDefault();
    event.stopPropagation();
    map.schedule();
  }
}

// Whether a place lies inside a closed path, by the even-odd rule.
function insidePath(path, x, y) {
  let inside = false;
  for (let i = 0, j = path.length - 1; i < path.length; j = i++) {
    const [[xi, yi], [xj, yj]] = [path[i], path[j]];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}
