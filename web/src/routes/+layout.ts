import { chooseLanguage, loadTexts } from '#lib/i18n/i18n.svelte.ts';
import { recall } from '#lib/settings/store.ts';

/** One page application: the instance serves files and an API, nothing renders on a server. */
export const ssr = false;

/** The reader's language, and its texts. */
export async function load() {
	const language = chooseLanguage(recall('language'), navigator.languages);
	return { language, texts: await loadTexts(language) };
}
