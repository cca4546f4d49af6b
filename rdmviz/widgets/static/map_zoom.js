// What part of the map is on the screen: a window into the unit square, never outside it.

const MOST_ZOOM = 400;

class MapZoom {
  constructor() {
    this.reset();
  }

  reset() {
    [this.factor, this.left, this.bottom] = [1, 0, 0];
  }

  get zoomed() {
    return this.factor > 1;
  }

  // Enlarge by a factor, keeping the point at share (u, v) of the window where it is.
  by(factor, u = 0.5, v = 0.5) {
    const [x, y] = [this.left + u / this.factor, this.bottom + v / this.factor];
    this.factor = Math.min(MOST_ZOOM, Math.max(1, this.factor * factor));
    this.moveTo(x - u / this.factor, y - v / this.factor);
  }

  // Shift the picture by shares of the window: to the right, and up.
  shift(u, v) {
    this.moveTo(this.left - u / this.factor, this.bottom - v / this.factor);
  }

  moveTo(left, bottom) {
    const most = 1 - 1 / this.factor;
    this.left = Math.min(most, Math.max(0, left));
    this.bottom = Math.min(most, Math.max(0, bottom));
  }

  // Value at a share of the window, along an axis with these ends.
  valueAt(share, start, low, high) {
    return low + (start + share / this.factor) * (high - low);
  }
}
