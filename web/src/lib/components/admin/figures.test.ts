import { describe, expect, it } from 'vitest';

import { Numbers } from '#lib/format/number.ts';
import { coverage, dateOf, dayMs, isAmount, newKey, short, totals } from './figures';

describe('figures', () => {
	it('are cut off and marked beyond eight digits, never rounded', () => {
		const numbers = new Numbers('en-GB');
		expect(short(numbers, '1617647.094403629999')).toBe('1,617,647.09440362…');
		expect(short(numbers, '0.999999999')).toBe('0.99999999…');
		expect(short(numbers, '12.5000000000')).toBe('12.5');
		expect(short(numbers, '-0.000000001')).toBe('-0.000000001');
	});

	it('are added exactly, by name', () => {
		const rows = [
			{ name: 'USDT', amount: '0.1' },
			{ name: 'HMT', amount: '7' },
			{ name: 'USDT', amount: '0.2' }
		];
		const sums = totals(
			rows,
			(row) => row.name,
			(row) => row.amount
		);
		expect(sums).toEqual([
			{ name: 'USDT', amount: '0.3' },
			{ name: 'HMT', amount: '7' }
		]);
	});

	it('tell what covers a debt across places, and where nothing was seen the books’ word', () => {
		const lines = [
			{ asset: 'USDT', observed: '60', expected: '61' },
			{ asset: 'USDT', observed: null, expected: '50.5' },
			{ asset: 'BTC', observed: '1', expected: '1' }
		];
		expect(
			coverage(
				[
					{ asset: 'simulated:USDT', amount: '100' },
					{ asset: 'rail:USDT', amount: '10' },
					{ asset: 'pool:main', amount: '5' }
				],
				lines
			)
		).toEqual([
			{ asset: 'USDT', owed: '110', held: '110.5', over: '0.5' },
			{ asset: 'pool:main', owed: '5', held: null, over: null }
		]);
	});

	it('may be paid only where they are plain and above zero', () => {
		expect(['1', '0.5', '007'].every(isAmount)).toBe(true);
		expect(['', '0', '0.0', '-1', '1e3', '1,5', '.5', ' 1', 'all'].some(isAmount)).toBe(false);
	});
});

describe('days and keys', () => {
	it('are UTC days', () => {
		expect(dayMs('2026-11-21')).toBe(Date.UTC(2026, 10, 21));
		expect(dateOf(Date.UTC(2026, 10, 21, 23, 59))).toBe('2026-11-21');
		expect(dayMs('21.11.2026')).toBeNull();
		expect(dayMs('2026-99-99')).toBeNull();
	});

	it('are new each time', () => {
		expect(newKey()).toMatch(/^[0-9a-f]{32}$/);
		expect(newKey()).not.toBe(newKey());
	});
});
