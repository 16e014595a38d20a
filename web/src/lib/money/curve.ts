/** A value at a moment; for drawing only, so floating point will do. */
export interface CurvePoint {
	at_ms: number;
	value: number;
}

/** A curve as SVG paths in a box of `width` × `height`. */
export interface Drawing {
	line: string;
	area: string;
	low: number;
	high: number;
}

const MOST_POINTS = 300;

/** At most so many points, the first and the last among them. */
export function thinned(points: readonly CurvePoint[], most = MOST_POINTS): CurvePoint[] {
	if (points.length <= most) return [...points];
	const step = (points.length - 1) / (most - 1);
	return Array.from({ length: most }, (_, place) => points[Math.round(place * step)]!);
}

/** Draw a curve so that it fills the box; a flat one runs through the middle. Null for fewer than two points. */
export function drawn(points: readonly CurvePoint[], width: number, height: number): Drawing | null {
	const kept = thinned(points);
	const first = kept[0];
	const last = kept.at(-1);
	if (!first || !last || kept.length < 2 || last.at_ms <= first.at_ms) return null;
	const values = kept.map(({ value }) => value);
	const low = Math.min(...values);
	const high = Math.max(...values);
	const span = high - low;
	const x = (at: number): string => (((at - first.at_ms) / (last.at_ms - first.at_ms)) * width).toFixed(1);
	const y = (value: number): string =>
		(span > 0 ? height - ((value - low) / span) * height : height / 2).toFixed(1);
	const line = kept.map(({ at_ms, value }, at) => `${at ? 'L' : 'M'}${x(at_ms)} ${y(value)}`).join('');
	return { line, area: `${line}L${width} ${height}L0 ${height}Z`, low, high };
}
