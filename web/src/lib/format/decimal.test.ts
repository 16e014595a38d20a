import { describe, expect, it } from 'vitest';

import { add, compare, digits, sign, subtract } from './decimal';

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

	it('refuse what is no plain decimal', () => {
		for (const text of ['', '1e5', 'NaN', '1.', '.5', '1,000']) expect(() => sign(text)).toThrow(RangeError);
	});
});
