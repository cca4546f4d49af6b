// How far out each datapoint is on the map: its loading in the two modes, read back from the packed positions.

const LOADING_DECADES = 6; // of a logarithmic axis, above the middle

// Size of the loading in both modes per datapoint, as a share of the largest (in decades where the map has them), in 255ths.
function loadingCodes(frame) {
  const { positions, ends, largest, logarithmic } = frame;
  const count = positions.length / 2;
  const size = new Float32Array(count);
  let most = 0;
  for (let k = 0; k < count; k++) {
    let sum = 0;
    for (let axis = 0; axis < 2; axis++) {
      const [low, high] = [ends[2 * axis], ends[2 * axis + 1]];
      let value = low + (positions[2 * k + axis] / 65535) * (high - low);
      if (logarithmic) value = largest[axis] * 10 ** (Math.abs(value) - LOADING_DECADES);
      sum += value * value;
    }
    size[k] = Math.sqrt(sum);
    if (size[k] > most) most = size[k];
  }
  const codes = new Uint8Array(count);
  if (most === 0) return codes;
  for (let k = 0; k < count; k++) {
    const share = size[k] / most;
    codes[k] = Math.round(255 * (logarithmic ? Math.max(0, 1 + Math.log10(share) / LOADING_DECADES) : share));
  }
  return codes;
}

// Where the datapoints of an earlier frame lie on the axes of another: shares of its ranges, by value.
function shareOnAxes(from, to, k) {
  return [0, 1].map((axis) => {
    const [low, high] = [from.ends[2 * axis], from.ends[2 * axis + 1]];
    const [low0, high0] = [to.ends[2 * axis], to.ends[2 * axis + 1]];
    return (low + (from.positions[2 * k + axis] / 65535) * (high - low) - low0) / (high0 - low0);
  });
}
