import { en, type AdminKey } from '#lib/i18n/en.admin.ts';
import { zh } from '#lib/i18n/zh.admin.ts';
import { fill, type I18n, type Language } from '#lib/i18n/i18n.svelte.ts';

const TEXTS: Record<Language, Record<AdminKey, string>> = { en, zh };

export type { AdminKey };

/** Texts of the owner's pages; they are apart from the others, so that nobody else has to load them. */
export function texts(i18n: I18n) {
	const t = (key: AdminKey, values: Record<string, string | number> = {}): string =>
		fill(TEXTS[i18n.language][key], values);
	return {
		t,
		/** The text of a word from the instance, or the word itself, made readable, where it is a new one. */
		word: (group: 'state' | 'kind' | 'fee' | 'phase', word: string): string => {
			const key = `${group}.${word.replaceAll(' ', '_')}`;
			return key in en ? t(key as AdminKey) : word.replaceAll('_', ' ');
		}
	};
}
