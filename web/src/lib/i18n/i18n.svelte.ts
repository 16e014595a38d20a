import { createContext } from 'svelte';

import { Numbers } from '../format/number';
import { Times } from '../format/time';
import type { ApiError } from '../api/client';
import type { texts as english } from './texts.en';

export type Key = keyof typeof english;

export type Texts = Record<Key, string>;

/** The languages of the page, each under its own name. */
export const LANGUAGES = { en: 'English', zh: '中文' } as const;

export type Language = keyof typeof LANGUAGES;

const LOCALES: Record<Language, string> = { en: 'en-GB', zh: 'zh-CN' };

/** Words that the instance says and the page translates. */
export type WordGroup =
	| 'order'
	| 'event'
	| 'term'
	| 'step'
	| 'movement'
	| 'state'
	| 'place'
	| 'tier'
	| 'stage'
	| 'measure'
	| 'pause'
	| 'paystate';

/** Put values into a text's `{name}` places. */
export function fill(text: string, values: Record<string, string | number>): string {
	return text.replace(/\{(\w+)\}/g, (place, name: string) => String(values[name] ?? place));
}

/** The first of the reader's languages that the page speaks; English otherwise. */
export function chooseLanguage(stored: string | null, preferred: readonly string[]): Language {
	for (const tag of [stored ?? '', ...preferred]) {
		const language = tag.toLowerCase().split('-')[0];
		if (language === 'en' || language === 'zh') return language;
	}
	return 'en';
}

/** The texts of one language; a reader loads no other. */
export async function loadTexts(language: Language): Promise<Texts> {
	const { texts } = language === 'zh' ? await import('./texts.zh') : await import('./texts.en');
	return texts;
}

/** Texts and formats of the chosen language. */
export class I18n {
	language = $state<Language>('en');
	readonly locale = $derived(LOCALES[this.language]);
	readonly numbers = $derived(new Numbers(this.locale));
	readonly times = $derived(new Times(this.locale));

	#texts = $state.raw<Partial<Texts>>({});

	constructor(language: Language, texts: Partial<Texts> = {}) {
		this.language = language;
		this.#texts = texts;
	}

	/** Speak another language from now on. */
	async choose(language: Language): Promise<void> {
		this.#texts = await loadTexts(language);
		this.language = language;
	}

	/** A text, its places filled. */
	readonly t = (key: Key, values: Record<string, string | number> = {}): string =>
		fill(this.#texts[key] ?? key, values);

	/** The text of a word from the instance, or the word itself, made readable, where it is a new one. */
	readonly word = (group: WordGroup, word: string): string => {
		const key = `${group}.${word.replaceAll(' ', '_')}`;
		return key in this.#texts ? this.t(key as Key) : word.replaceAll('_', ' ');
	};

	/** Why the instance refused: in the reader's language where the page knows the code, else in its own words. */
	readonly problem = (error: ApiError): string => {
		const key = `problem.${error.code}`;
		return key in this.#texts ? this.t(key as Key) : error.message;
	};
}

export const [getI18n, setI18n] = createContext<I18n>();
