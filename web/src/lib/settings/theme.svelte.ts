import { createContext } from 'svelte';

import { recall, remember } from './store';

export const CHOICES = ['auto', 'light', 'dark'] as const;

export type ThemeChoice = (typeof CHOICES)[number];

/** Light or dark: the reader's choice, or what the system says. */
export class Theme {
	choice = $state<ThemeChoice>('auto');
	#system = $state<'light' | 'dark'>('light');
	readonly shown = $derived(this.choice === 'auto' ? this.#system : this.choice);

	constructor() {
		const stored = recall('theme');
		if (stored === 'light' || stored === 'dark') this.choice = stored;
	}

	/** Choose and keep it. */
	choose(choice: ThemeChoice): void {
		this.choice = choice;
		remember('theme', choice === 'auto' ? null : choice);
	}

	/** Follow the system's setting; the returned function stops that. */
	run(): () => void {
		const query = window.matchMedia('(prefers-color-scheme: dark)');
		const follow = (): void => {
			this.#system = query.matches ? 'dark' : 'light';
		};
		follow();
		query.addEventListener('change', follow);
		return () => query.removeEventListener('change', follow);
	}
}

export const [getTheme, setTheme] = createContext<Theme>();
