import type { Candle, FillView } from '../api/generated';
import { add, compare } from '../format/decimal';

/** Seconds of one candle as the API sends them. */
export const BASE_INTERVAL_S = 5;

/** Join candles into longer ones; both are oldest first. */
export function widen(candles: readonly Candle[], interval_s: number): Candle[] {
	const width = interval_s * 1000;
	const joined: Candle[] = [];
	for (const candle of candles) {
		const start_ms = Math.floor(candle.start_ms / width) * width;
		const last = joined.at(-1);
		if (last?.start_ms !== start_ms) {
			joined.push({ ...candle, start_ms });
			continue;
		}
		if (compare(candle.high, last.high) > 0) last.high = candle.high;
		if (compare(candle.low, last.low) < 0) last.low = candle.low;
		last.close = candle.close;
		last.volume = add(last.volume, candle.volume);
	}
	return joined;
}

/** Fills of one side within one candle. */
export interface FillMark {
	start_ms: number;
	side: 'buy' | 'sell';
	count: number;
}

/** Count our fills by candle and side, oldest first. */
export function markFills(fills: readonly FillView[], interval_s: number): FillMark[] {
	const width = interval_s * 1000;
	const marks = new Map<string, FillMark>();
	for (const { at_ms, side } of fills) {
		const start_ms = Math.floor(at_ms / width) * width;
		const key = `${start_ms} ${side}`;
		const mark = marks.get(key) ?? { start_ms, side, count: 0 };
		mark.count += 1;
		marks.set(key, mark);
	}
	return [...marks.values()].sort((left, right) => left.start_ms - right.start_ms);
}
