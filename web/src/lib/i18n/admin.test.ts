import { readFileSync } from 'node:fs';
import { globSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { texts } from '../components/admin/texts';
import { en, type AdminKey } from './en.admin';
import { I18n } from './i18n.svelte';
import { zh } from './zh.admin';

const places = (text: string): string[] => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).sort();

describe('texts of the owner’s pages', () => {
	it.each(Object.keys(en) as AdminKey[])('%s has the same places in every language', (key) => {
		expect(places(zh[key])).toEqual(places(en[key]));
	});

	it('follow the chosen language and leave a new word readable', () => {
		const i18n = new I18n('en');
		const { t, word } = texts(i18n);
		expect(t('seal.now')).toBe('Seal now');
		i18n.language = 'zh';
		expect(t('seal.now')).toBe('立即封印');
		expect(word('state', 'queued')).toBe('排队中');
		expect(word('state', 'half_done')).toBe('half done');
	});

	it('are all used', () => {
		const sources = globSync('src/{lib/components,routes}/admin/**/*.{svelte,ts}')
			.map((path) => readFileSync(path, 'utf8'))
			.join('\n');
		const composed = /^(state|kind|fee|phase|page|period|runs|check|pause\.body|resume\.body)\./;
		const unused = Object.keys(en).filter((key) => !composed.test(key) && !sources.includes(`'${key}'`));
		expect(unused).toEqual([]);
	});
});
