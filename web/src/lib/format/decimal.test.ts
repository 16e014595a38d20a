import { describe, expect, it } from 'vitest';

import { add, compare, digits, quotient, share, sign, subtract, typed } from './decimal';

describe('decimal strings', () => {
	it('add and subtract exactly where floating point does not', () => {
		expect(add('0.1', '0.2')).toBe('0.3');
		expect(add('123456789012345678901234567890.000000000000000001', '1')).toBe(
			'123456789012345678901234567891.000000000000000001'
		);
		expect(subtract('0.05', '0.0500')).toBe('0');
		expect(subtract('0', '0.00001')).toBe('-0.00001');
	});

	it('compare by value, not by text', () => {
		expect(compare('10', '9.5')).toBe(1);
		expect(compare('-10', '9')).toBe(-1);
		expect(compare('1.50', '1.5')).toBe(0);
		expect(sign('-0.000')).toBe(0);
	});

	it('count the digits of a step', () => {
		expect(digits('0.01')).toBe(2);
		expect(digits('0.0100')).toBe(2);
		expect(digits('1')).toBe(0);
	});

	it('are read as people type them, or not at all', () => {
		expect(typed(' 1 250,50 ')).toBe('1250.50');
		expect(typed('1,250,000.5')).toBe('1250000.5');
		expect(typed('007')).toBe('7');
		expect(typed('.5')).toBe('0.5');
		for (const text of ['', '.', '-1', '1e5', 'abc', '1.2.3', '1,2,3']) expect(typed(text)).toBeNull();
	});

	it('give a part of themselves without a remainder that nobody has', () => {
		expect(share('100.000000000000000001', 100)).toBe('100.000000000000000001');
		expect(share('0.000000000000000003', 50)).toBe('0.000000000000000001');
		expect(share('809065.625', 25)).toBe('202266.40625');
	});

	it('are divided exactly and cut off', () => {
		expect(quotient('123', '369', '100', 12)).toBe('33.333333333333');
		expect(quotient('2', '3', '0.5', 4)).toBe('0.3333');
		expect(quotient('1', '0', '1', 4)).toBeNull();
	});

	it('refuse what is no plain decimal', () => {
		for (const text of ['', '1e5', 'NaN', '1.', '.5', '1,000']) expect(() => sign(text)).toThrow(RangeError);
	});
});
