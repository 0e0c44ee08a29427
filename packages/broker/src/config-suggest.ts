/** Spelling help for keys that do not exist. */

/** `; did you mean X?` for the candidate nearest to `word`, or ''. */
export function suggestion(word: string, candidates: Iterable<string>): string {
  const best = nearest(word, candidates, Math.max(2, Math.floor(word.length / 3)));
  return best === undefined ? '' : `; did you mean ${best}?`;
}

/** The candidate within `distanceMax` edits of `word`, the first of the nearest. */
export function nearest(
  word: string,
  candidates: Iterable<string>,
  distanceMax: number,
): string | undefined {
  let best: string | undefined;
  let bestDistance = distanceMax + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = editDistance(word.slice(0, 200).toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
