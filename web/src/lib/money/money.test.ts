import { describe, expect, it } from 'vitest';

import type { GroupView, RewardDay } from '../api/client';
import { blanksBefore, calendar, monthOf } from './calendar';
import { drawn, thinned } from './curve';
import { checkReceipt, fromUnits } from './receipt';

const NOVEMBER = Date.UTC(2026, 10, 1);
const cycle = (start_ms: number, amount: string, asset = 'rail:HMT'): RewardDay => ({
	allocation: `${start_ms}`,
	campaign: 'c',
	start_ms,
	end_ms: start_ms + 1,
	asset,
	amount,
	state: 'credited'
});

describe('the calendar', () => {
	it('has every UTC day of a month, in weeks from Monday on', () => {
		expect(monthOf(Date.UTC(2026, 10, 30, 23, 59))).toBe(NOVEMBER);
		expect(monthOf(NOVEMBER, -11)).toBe(Date.UTC(2025, 11, 1));
		expect(calendar(NOVEMBER, [])).toHaveLength(30);
		expect(calendar(Date.UTC(2028, 1, 1), [])).toHaveLength(29);
		expect(blanksBefore(NOVEMBER)).toBe(6);
	});

	it('adds a day exactly and shades it beside the best one of its asset', () => {
		const days = calendar(NOVEMBER, [
			cycle(NOVEMBER, '0.1'),
			cycle(NOVEMBER + 1, '0.2'),
			cycle(NOVEMBER + 86_400_000, '3'),
			cycle(NOVEMBER + 86_400_000, '5', 'rail:USDT'),
			cycle(NOVEMBER - 1, '7')
		]);
		expect(days[0]!.sums).toEqual([{ asset: 'rail:HMT', amount: '0.3' }]);
		expect(days.map(({ level }) => level).slice(0, 3)).toEqual([1, 4, 0]);
	});
});

describe('a curve', () => {
	it('fills its box from the first point to the last', () => {
		const drawing = drawn(
			[
				{ at_ms: 0, value: 1 },
				{ at_ms: 5, value: 3 },
				{ at_ms: 10, value: 2 }
			],
			100,
			10
		);
		expect(drawing).toMatchObject({ line: 'M0.0 10.0L50.0 0.0L100.0 5.0', low: 1, high: 3 });
	});

	it('runs through the middle where nothing moves, and is none of a single point', () => {
		const flat = [0, 10].map((at_ms) => ({ at_ms, value: 4 }));
		expect(drawn(flat, 100, 10)?.line).toBe('M0.0 5.0L100.0 5.0');
		expect(drawn(flat.slice(1), 100, 10)).toBeNull();
	});

	it('keeps its ends when it is thinned', () => {
		const many = Array.from({ length: 1000 }, (_, at_ms) => ({ at_ms, value: at_ms }));
		const few = thinned(many, 10);
		expect([few.length, few[0]!.at_ms, few.at(-1)!.at_ms]).toEqual([10, 0, 999]);
	});
});

describe('a receipt', () => {
	// The example of docs/ledger-format.md.
	const group: GroupView = {
		seq: 1,
		key: 'open',
		at_ms: 1_700_000_000_000,
		outcome: 'posted',
		memo: '',
		hash: '12a6f6f0ee1b9b52099d76cf5ce2f4915f7844670b9e53517e23ea928bbb880f',
		previous_hash: 'ef25fa1db338c76bd2e218a9d5d41586cee831820af7ff1ac601b82706a62ee8',
		entries: [],
		canonical:
			'[1,1,"open","afa5d93f7953767a30a1be1247fe4228265c58e633394760c2dee8c185a56f0c",1700000000000,1,"posted","","",null,[["sim:USD",2]],[["external:world","external",null],["user:alice","user","0"]],[]]'
	};

	it('holds where text, hash and lines agree', async () => {
		expect(await checkReceipt(group)).toEqual({ ok: true, hash: group.hash });
	});

	it('fails by name for a changed text, a changed hash before it, other lines and a text that is not shown', async () => {
		const codes = async (changed: Partial<GroupView>): Promise<unknown> => {
			const check = await checkReceipt({ ...group, ...changed });
			return check.ok || check.code;
		};
		expect(await codes({ canonical: group.canonical!.replace('alice', 'mallo') })).toBe('hash');
		expect(await codes({ previous_hash: '00'.repeat(32) })).toBe('hash');
		expect(await codes({ at_ms: 1 })).toBe('differs');
		expect(await codes({ canonical: null })).toBe('masked');
	});

	it('writes base units as decimals', () => {
		expect(fromUnits(1050n, 2)).toBe('10.5');
		expect(fromUnits(-5n, 3)).toBe('-0.005');
		expect(fromUnits(7n, 0)).toBe('7');
	});
});
