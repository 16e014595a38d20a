import { readFileSync } from 'node:fs';
import { globSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { texts } from '../components/admin/texts';
import { en as enAdmin } from './en.admin';
import { enOperations } from './en.operations';
import { enPartners } from './en.partners';
import { enSelection } from './en.selection';
import { I18n } from './i18n.svelte';
import { zh as zhAdmin } from './zh.admin';
import { zhOperations } from './zh.operations';
import { zhPartners } from './zh.partners';
import { zhSelection } from './zh.selection';

const en = { ...enAdmin, ...enOperations, ...enSelection, ...enPartners };
const zh = { ...zhAdmin, ...zhOperations, ...zhSelection, ...zhPartners };
type AdminKey = keyof typeof en;

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
		const sources = globSync('src/{lib/components,routes}/{admin,operations}/**/*.{svelte,ts}')
			.map((path) => readFileSync(path, 'utf8'))
			.join('\n');
		const composed =
			/^((state|kind|fee|phase|page|period|runs|check|pause\.body|resume\.body|risk|run|cause|step|act|asked|activity|outcome|source|whynot|verdict|threshold|transfer|drift|vstate|wish|part\.(ask|login)|ops\.deadman)\.|health\.\w+$|keys\.(read|trade|withdraw)$|part\.(join|leave|automatic)$)/;
		const unused = Object.keys(en).filter((key) => !composed.test(key) && !sources.includes(`'${key}'`));
		expect(unused).toEqual([]);
	});
});
