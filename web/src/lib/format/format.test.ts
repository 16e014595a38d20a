import { describe, expect, it } from 'vitest';

import { toCsv } from './csv';
import { Numbers } from './number';
import { Times } from './time';

describe('numbers', () => {
	const english = new Numbers('en-GB');

	it('keep every digit of a decimal string', () => {
		expect(english.exact('9007199254740993.000000000000000001')).toBe(
			'9,007,199,254,740,993.000000000000000001'
		);
	});

	it('show a price with the digits of its tick', () => {
		expect(english.onGrid('61842.4', '0.01')).toBe('61,842.40');
		expect(english.onGrid('5', '1')).toBe('5');
	});

	it('put a sign on every figure but zero', () => {
		expect(english.signed('12.5', 2)).toBe('+12.50');
		expect(english.signed('-0.4', 2)).toBe('-0.40');
		expect(english.signed('0', 2)).toBe('0.00');
	});

	it('never show a small spread as none', () => {
		expect(english.basisPoints(0.0016)).toBe('0.0016');
		expect(english.basisPoints(1.238)).toBe('1.24');
	});

	it('never show a small fee as none', () => {
		expect(english.significant('0.00000024631', 4)).toBe('0.0000002463');
		expect(english.significant('0.500', 4)).toBe('0.5');
	});

	it('show an amount cut off, never more than there is, and never as none', () => {
		expect(english.amount('1250.129999999999999999', 'USDT')).toBe('1,250.12');
		expect(english.amount('0.00001234', 'USDT')).toBe('0.000012');
		expect(english.amount('-0.05', 'USDT')).toBe('-0.05');
		expect(english.amount('0', 'USDT')).toBe('0.00');
		expect(english.amount('0.12345678', 'BTC')).toBe('0.123456');
		expect(english.amount('12.5', 'USDT', true)).toBe('+12.50');
	});

	it('change from microseconds to milliseconds', () => {
		expect(english.latency(212)).toBe('212 µs');
		expect(english.latency(1430)).toBe('1.43 ms');
		expect(english.latency(23_400)).toBe('23.4 ms');
	});

	it('follow the language', () => {
		expect(new Numbers('de-DE').fixed('1234.5', 2)).toBe('1.234,50');
		expect(new Numbers('zh-CN').percent(0.5, 0)).toBe('50%');
	});
});

describe('times', () => {
	it('are local on the page and UTC on hover', () => {
		const times = new Times('en-GB', 'Asia/Shanghai');
		const noon = Date.UTC(2026, 10, 21, 12, 0, 5, 123);
		expect(times.clock(noon)).toBe('20:00:05');
		expect(times.minute(noon)).toBe('20:00');
		expect(times.full(noon)).toContain('21 Nov 2026');
		expect(times.utc(noon)).toBe('2026-11-21T12:00:05.123Z');
	});
});

describe('csv', () => {
	it('quotes what has to be quoted', () => {
		expect(
			toCsv(
				['a', 'b'],
				[
					['x,y', 'say "hi"'],
					[null, 3]
				]
			)
		).toBe('a,b\r\n"x,y","say ""hi"""\r\n,3\r\n');
	});

	it('defuses formulas and leaves negative numbers alone', () => {
		expect(toCsv(['a'], [['=1+1'], ['-0.5'], ['@x']])).toBe("a\r\n'=1+1\r\n-0.5\r\n'@x\r\n");
	});
});
