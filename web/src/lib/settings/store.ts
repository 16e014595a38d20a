/** What the reader chose, kept in this browser alone. Storage may be forbidden; nothing is kept then. */
export type Setting = 'theme' | 'language' | 'sealkey';

/** The stored choice, if there is one. */
export function recall(setting: Setting): string | null {
	try {
		return localStorage.getItem(`mrmarket.${setting}`);
	} catch {
		return null;
	}
}

/** Keep a choice; null forgets it. */
export function remember(setting: Setting, value: string | null): void {
	try {
		if (value === null) localStorage.removeItem(`mrmarket.${setting}`);
		else localStorage.setItem(`mrmarket.${setting}`, value);
	} catch {
		// The choice then lasts as long as the page.
	}
}
