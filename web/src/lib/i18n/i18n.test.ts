import { describe, expect, it } from 'vitest';

import { chooseLanguage, fill, I18n } from './i18n.svelte';
import { texts as en } from './texts.en';
import { texts as zh } from './texts.zh';

const places = (text: string): string[] => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).sort();

describe('texts', () => {
	it.each(Object.keys(en) as (keyof typeof en)[])('%s has the same places in every language', (key) => {
		expect(places(zh[key])).toEqual(places(en[key]));
	});

	it('are filled by name, and an unknown place stays visible', () => {
		expect(fill('{a} of {b} {c}', { a: 1, b: 'two' })).toBe('1 of two {c}');
	});
});

describe('the language', () => {
	it('is the stored one, then the first preferred one that is spoken, then English', () => {
		expect(chooseLanguage('zh', ['en-GB'])).toBe('zh');
		expect(chooseLanguage(null, ['fr-FR', 'zh-TW', 'en'])).toBe('zh');
		expect(chooseLanguage('xx', ['fr'])).toBe('en');
	});

	it('changes texts and formats together', async () => {
		const i18n = new I18n('en', en);
		expect(i18n.t('side.buy')).toBe('Buy');
		await i18n.choose('zh');
		expect(i18n.t('side.buy')).toBe('买入');
		expect(i18n.numbers.locale).toBe('zh-CN');
	});

	it('leaves a word it does not know readable', () => {
		const i18n = new I18n('zh', zh);
		expect(i18n.word('order', 'acked')).toBe('挂单中');
		expect(i18n.word('term', 'queue_value')).toBe('queue value');
	});
});
