import type { DecisionView, ScoreView, Thresholds } from '#lib/api/client.ts';

/** Thresholds that the form shows; the others are in the configuration alone. */
export const SHOWN = [
	'ratio',
	'margin_per_h',
	'z',
	'half_life_s',
	'horizon_s',
	'least_samples',
	'cool_down_s',
	'dwell_s',
	'debounce',
	'switches_per_hour',
	'failure_cool_down_s',
	'paper_ratio'
] as const;

export type Threshold = (typeof SHOWN)[number];

/** A fraction per hour, in percent. */
export function perHour(value: number | null | undefined): string {
	if (value === null || value === undefined) return '—';
	const percent = value * 100;
	return `${percent > 0 ? '+' : ''}${percent.toFixed(Math.abs(percent) < 1 ? 4 : 2)} %/h`;
}

export const share = (value: number): string => `${(value * 100).toFixed(1)} %`;

/** A margin is shown in percent, everything else as it is. */
export const shownAs = (name: Threshold, value: number): string =>
	String(name === 'margin_per_h' ? Number((value * 100).toPrecision(12)) : value);

/** The whole set with what was typed; null where something is no number. */
export function typed(texts: Record<Threshold, string>, now: Thresholds): Thresholds | null {
	const after: Thresholds = { ...now };
	for (const name of SHOWN) {
		const value = Number(texts[name].trim().replace(',', '.'));
		if (texts[name].trim() === '' || !Number.isFinite(value)) return null;
		after[name] = name === 'margin_per_h' ? value / 100 : value;
	}
	return after;
}

/** Where a score stands on a scale that all share: fractions of the width. */
export function scale(scores: readonly ScoreView[]): (value: number) => number {
	const ends = scores.flatMap(({ value, upper }) => [value, upper]).filter((each) => each != null);
	const low = Math.min(0, ...ends);
	const high = Math.max(0, ...ends);
	const span = high - low || 1;
	return (value) => (value - low) / span;
}

/** The figures that a decision's sentence has places for. */
export function figures(decision: DecisionView): Record<string, string | number> {
	return {
		current: decision.current || '—',
		challenger: decision.challenger,
		value: perHour(decision.challenger_value),
		mine: perHour(decision.current_value),
		needed: perHour(decision.needed),
		streak: decision.streak ?? 0,
		by: decision.by ?? '',
		changes: Object.entries(decision.changed ?? {})
			.map(([name, value]) => `${name} = ${String(value)}`)
			.join(', ')
	};
}
