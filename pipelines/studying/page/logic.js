// What the page decides, without a page: order, layout, checksum. `pipelines/studying/ordering.py` and `results.py`
// work out the same from the same seed.

function draws(seed) {
  let state = seed >>> 0;
  function below(count) {
    state = (state + 0x9E3779B9) >>> 0;
    let word = state;
    word = Math.imul(word ^ (word >>> 16), 0x21F0AAAD) >>> 0;
    word = Math.imul(word ^ (word >>> 15), 0x735A2D97) >>> 0;
    return Math.floor(((word ^ (word >>> 15)) >>> 0) * count / 4294967296);
  }
  function shuffled(items) {
    const order = Array.from(items);
    for (let k = order.length - 1; k > 0; k--) {
      const other = below(k + 1);
      [order[k], order[other]] = [order[other], order[k]];
    }
    return order;
  }
  return { below, shuffled };
}

function upTo(count) {
  return Array.from({ length: count }, (_, k) => k);
}

// [{trial, places, again}]: all trials in a random order, some of the first half once more in the second.
function showings(trials, alternatives, repeats, seed) {
  const random = draws(seed);
  const order = random.shuffled(upTo(trials));
  const half = Math.floor((trials + 1) / 2);
  const shown = order.map((trial) => ({ trial, again: false }));
  for (const trial of random.shuffled(order.slice(0, half)).slice(0, repeats)) {
    const first = Math.min(half + 1, shown.length);
    shown.splice(first + random.below(shown.length - first + 1), 0, { trial, again: true });
  }
  return shown.map((each) => ({ ...each, places: random.shuffled(upTo(alternatives)) }));
}

// How many columns make `count` pictures of this aspect (width / height) largest in a box of pixels.
function columnsFor(count, aspect, width, height) {
  let best = 1;
  let widest = 0;
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const each = Math.min(width / columns, (height / rows) * aspect);
    if (each > widest + 1e-9) {
      best = columns;
      widest = each;
    }
  }
  return best;
}

// FNV-1a, 64 bits, of the text's UTF-8 bytes: tells a file that was edited by accident, not one that was forged.
function checksum(text) {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) {
    hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  }
  return hash.toString(16).padStart(16, "0");
}

// The answers as they are stored, with their checksum as the last entry.
function sealed(result) {
  return { ...result, checksum: checksum(JSON.stringify(result)) };
}

if (typeof module !== "undefined") module.exports = { draws, showings, columnsFor, checksum, sealed };
