import { describe, expect, it } from 'vitest';

import type { ScoreView, Thresholds } from '#lib/api/client.ts';
import { perHour, scale, shownAs, SHOWN, typed, type Threshold } from './turns';

const NOW = Object.fromEntries(SHOWN.map((name) => [name, 2])) as unknown as Thresholds;
const texts = (changes: Partial<Record<Threshold, string>> = {}): Record<Threshold, string> => ({
	...(Object.fromEntries(SHOWN.map((name) => [name, shownAs(name, 2)])) as Record<Threshold, string>),
	...changes
});

describe('thresholds in a form', () => {
	it('come back as they went in, a margin through percent', () => {
		expect(typed(texts(), NOW)).toEqual(NOW);
		expect(typed(texts({ margin_per_h: '0,02' }), NOW)?.margin_per_h).toBeCloseTo(0.0002);
	});

	it('are refused where one is no number', () => {
		expect(typed(texts({ z: 'much' }), NOW)).toBeNull();
		expect(typed(texts({ z: ' ' }), NOW)).toBeNull();
	});
});

it('shows what is not known as such', () => {
	expect(perHour(null)).toBe('—');
	expect(perHour(0.00012)).toBe('+0.0120 %/h');
	expect(perHour(-0.02)).toBe('-2.00 %/h');
});

it('puts every score on one scale with nothing in it', () => {
	const at = scale([{ value: -1, upper: 3 } as ScoreView, { value: null, upper: null } as ScoreView]);
	expect([at(-1), at(0), at(3)]).toEqual([0, 0.25, 1]);
	expect(scale([])(0)).toBe(0);
});
