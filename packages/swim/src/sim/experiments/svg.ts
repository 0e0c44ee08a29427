import type { Axis, Chart, Point } from './report.ts';

/** A line chart as SVG, readable on light and dark ground. */
export function chartSvg(chart: Chart): string {
  const points = chart.lines.flatMap((line) => line.points);
  const x = scaleOf(
    chart.x,
    points.map(([value]) => value),
    LEFT,
    WIDTH - RIGHT,
  );
  const y = scaleOf(
    chart.y,
    points.map(([, value]) => value),
    HEIGHT - BOTTOM,
    TOP,
  );
  const parts = [
    text(LEFT, 20, chart.title, 'start', 14),
    ...x.ticks.flatMap((tick) => [
      line(x.at(tick), TOP, x.at(tick), HEIGHT - BOTTOM),
      text(x.at(tick), HEIGHT - BOTTOM + 16, label(tick), 'middle'),
    ]),
    ...y.ticks.flatMap((tick) => [
      line(LEFT, y.at(tick), WIDTH - RIGHT, y.at(tick)),
      text(LEFT - 6, y.at(tick) + 4, label(tick), 'end'),
    ]),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, chart.x.title, 'middle'),
    text(LEFT, TOP - 8, chart.y.title, 'start'),
    ...chart.lines.flatMap(({ name, points: own }, index) => {
      const colour = COLOURS[index % COLOURS.length] as string;
      const top = TOP + 12 + index * 16;
      return [
        `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${own
          .map((point) => place(point, x, y))
          .join(' ')}"/>`,
        ...own.map((point) => {
          const [cx, cy] = place(point, x, y).split(',');
          return `<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"/>`;
        }),
        `<rect x="${WIDTH - RIGHT + 10}" y="${top - 8}" width="10" height="10" fill="${colour}"/>`,
        text(WIDTH - RIGHT + 25, top + 1, name, 'start'),
      ];
    }),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

interface Scale {
  readonly ticks: readonly number[];
  at(value: number): number;
}

function scaleOf(axis: Axis, values: readonly number[], from: number, to: number): Scale {
  const finite = values.filter((value) => Number.isFinite(value));
  const hi = Math.max(...finite, Number.MIN_VALUE);
  if (axis.logarithmic === true) {
    const positive = finite.filter((value) => value > 0);
    const low = Math.floor(Math.log10(Math.min(...positive, hi)));
    const high = Math.max(low + 1, Math.ceil(Math.log10(hi)));
    const ticks = Array.from({ length: high - low + 1 }, (_, n) => 10 ** (low + n));
    return {
      ticks,
      at: (value) =>
        from + ((Math.log10(Math.max(value, 10 ** low)) - low) / (high - low)) * (to - from),
    };
  }
  const step = niceStep(hi / 5);
  const top = Math.ceil(hi / step) * step;
  const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, n) => n * step);
  return { ticks, at: (value) => from + (value / top) * (to - from) };
}

/** The next of 1, 2, 5 times a power of ten. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= least) ?? 10);
}

function place([px, py]: Point, x: Scale, y: Scale): string {
  return `${x.at(px).toFixed(1)},${y.at(py).toFixed(1)}`;
}

function line(x1: number, y1: number, x2: number, y2: number): string {
  const [a, b, c, d] = [x1, y1, x2, y2].map((value) => value.toFixed(1));
  return `<line x1="${a}" y1="${b}" x2="${c}" y2="${d}" stroke="#ddd"/>`;
}

function text(x: number, y: number, content: string, anchor: string, size = 11): string {
  const safe = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const at = `x="${x.toFixed(1)}" y="${y.toFixed(1)}"`;
  return `<text ${at} text-anchor="${anchor}" font-size="${size}" fill="#333">${safe}</text>`;
}

function label(value: number): string {
  if (value >= 1000) return value.toLocaleString('en-GB');
  return String(Number(value.toPrecision(3)));
}

const WIDTH = 720;
const HEIGHT = 360;
const LEFT = 60;
const RIGHT = 190;
const TOP = 50;
const BOTTOM = 50;
const COLOURS = [
  '#1b6ca8',
  '#d1495b',
  '#3b8b4b',
  '#b07d1a',
  '#6a4c93',
  '#555555',
  '#e07be0',
  '#17a2a8',
];
