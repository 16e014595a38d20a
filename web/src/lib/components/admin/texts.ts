import { en as enAdmin } from '#lib/i18n/en.admin.ts';
import { enOperations } from '#lib/i18n/en.operations.ts';
import { enPartners } from '#lib/i18n/en.partners.ts';
import { enSelection } from '#lib/i18n/en.selection.ts';
import { zh as zhAdmin } from '#lib/i18n/zh.admin.ts';
import { zhOperations } from '#lib/i18n/zh.operations.ts';
import { zhPartners } from '#lib/i18n/zh.partners.ts';
import { zhSelection } from '#lib/i18n/zh.selection.ts';
import { fill, type I18n, type Language } from '#lib/i18n/i18n.svelte.ts';

const en = { ...enAdmin, ...enOperations, ...enSelection, ...enPartners };

export type AdminKey = keyof typeof en;

const TEXTS: Record<Language, Record<AdminKey, string>> = {
	en,
	zh: { ...zhAdmin, ...zhOperations, ...zhSelection, ...zhPartners }
};

/** Words that the instance says and these pages translate. */
export type WordGroup =
	| 'state'
	| 'kind'
	| 'fee'
	| 'phase'
	| 'risk'
	| 'run'
	| 'cause'
	| 'step'
	| 'activity'
	| 'outcome'
	| 'source'
	| 'whynot'
	| 'transfer'
	| 'drift'
	| 'vstate'
	| 'wish';

/** Texts of the owner's pages; they are apart from the others, so that nobody else has to load them. */
export function texts(i18n: I18n) {
	const t = (key: AdminKey, values: Record<string, string | number> = {}): string =>
		fill(TEXTS[i18n.language][key], values);
	return {
		t,
		/** The text of a word from the instance, or the word itself, made readable, where it is a new one. */
		word: (group: WordGroup, word: string): string => {
			const key = `${group}.${word.replaceAll(' ', '_')}`;
			return key in en ? t(key as AdminKey) : word.replaceAll('_', ' ');
		}
	};
}
