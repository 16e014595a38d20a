import type { RewardDay } from '../api/client';
import { add, compare } from '../format/decimal';

const DAY_MS = 86_400_000;

/** One day of the calendar, by UTC. */
export interface CalendarDay {
	start_ms: number;
	/** Day of the month. */
	number: number;
	cycles: RewardDay[];
	/** Sums by asset, exact. */
	sums: { asset: string; amount: string }[];
	/** 0 for nothing, 1 to 4 by how much it is beside the month's best day. */
	level: 0 | 1 | 2 | 3 | 4;
}

/** First moment of the UTC month that a moment is in, moved by so many months. */
export function monthOf(ms: number, moved = 0): number {
	const date = new Date(ms);
	return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + moved, 1);
}

/** Blank cells before the first, in a week that begins on Monday. */
export function blanksBefore(month_ms: number): number {
	return (new Date(month_ms).getUTCDay() + 6) % 7;
}

/** The month's days with what each brought. `month_ms` is the month's first moment. */
export function calendar(month_ms: number, rewards: readonly RewardDay[]): CalendarDay[] {
	const count = (monthOf(month_ms, 1) - month_ms) / DAY_MS;
	const days = Array.from({ length: count }, (_, place): CalendarDay => {
		const start_ms = month_ms + place * DAY_MS;
		const cycles = rewards.filter((one) => one.start_ms >= start_ms && one.start_ms < start_ms + DAY_MS);
		return { start_ms, number: place + 1, cycles, sums: sumsOf(cycles), level: 0 };
	});
	const best = new Map<string, string>();
	for (const { asset, amount } of days.flatMap(({ sums }) => sums))
		if (compare(amount, best.get(asset) ?? '0') > 0) best.set(asset, amount);
	for (const day of days)
		day.level = Math.max(
			0,
			...day.sums.map(({ asset, amount }) => level(amount, best.get(asset) ?? '0'))
		) as CalendarDay['level'];
	return days;
}

/** Exact sums by asset. */
export function sumsOf(rewards: readonly RewardDay[]): { asset: string; amount: string }[] {
	const sums = new Map<string, string>();
	for (const { asset, amount } of rewards) sums.set(asset, add(sums.get(asset) ?? '0', amount));
	return [...sums].map(([asset, amount]) => ({ asset, amount }));
}

/** A shade, so floating point will do. */
function level(amount: string, best: string): number {
	const part = Number(amount) / Number(best);
	return part > 0 ? Math.min(4, Math.ceil(part * 4)) : 0;
}
