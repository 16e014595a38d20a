import { createContext } from 'svelte';

import { auth } from '../api/auth';
import { ApiError, door, type SessionView } from '../api/client';
import { hexText, signInMessage, type Wallet } from './siwe';

export type Role = SessionView['role'];

/** The wallet showed no account. */
export class NoAccountError extends Error {
	override readonly name = 'NoAccountError';
}

/** Who sits before the page. The instance enforces what each may; this decides what is shown. */
export class Session {
	/** Null until the instance has answered. */
	view = $state.raw<SessionView | null>(null);
	/** Why it has not. */
	problem = $state.raw<ApiError | null>(null);
	/** The sign-in dialog is open. */
	asking = $state(false);
	/** The session ended under the reader: the dialog says so. */
	ended = $state(false);
	/** Counts sign-ins, so that pages ask again for what was refused. */
	entries = $state(0);
	/** The one-time token of the set-up link, while it waits for its password. */
	setupToken = $state<string | null>(null);

	/** Null until known. */
	readonly role = $derived<Role | null>(this.view?.role ?? null);
	readonly user = $derived(this.view?.user ?? null);
	readonly demo = $derived(this.view?.demo ?? false);
	/** How the reader is called on the page: a name, or a shortened address. */
	readonly name = $derived(this.user === null ? '' : shortened(this.user));

	/** Listen for refusals, ask who we are; the returned function ends it. */
	run(): () => void {
		door.refused = () => this.#refused();
		door.renew = () => this.load();
		void this.load();
		return () => {
			door.refused = door.renew = null;
		};
	}

	/** Ask the instance who we are. */
	async load(): Promise<void> {
		try {
			this.#become(await auth.session());
			this.problem = null;
		} catch (error) {
			if (!(error instanceof ApiError)) throw error;
			this.problem = error;
		}
	}

	/** Open the sign-in dialog. */
	ask(): void {
		this.ended = false;
		this.asking = true;
	}

	/** Be one of the demo's people. Throws `ApiError`, as all below do. */
	async enterDemo(name: string): Promise<void> {
		this.#enter(await auth.demo(name));
	}

	async enterAdmin(password: string): Promise<void> {
		this.#enter(await auth.admin(password));
	}

	async setUp(token: string, password: string): Promise<void> {
		this.#enter(await auth.setUp(token, password));
		this.setupToken = null;
	}

	/** Let a browser wallet sign. Throws what the wallet throws, too. */
	async enterWallet(wallet: Wallet): Promise<void> {
		const accounts = (await wallet.request({ method: 'eth_requestAccounts' })) as string[];
		const address = accounts[0];
		if (!address) throw new NoAccountError();
		const message = signInMessage(await auth.nonce(), address);
		const signature = await wallet.request({
			method: 'personal_sign',
			params: [hexText(message), address]
		});
		this.#enter(await auth.wallet(message, String(signature)));
	}

	async leave(): Promise<void> {
		this.#become(await auth.signOut());
		this.ended = false;
	}

	#enter(view: SessionView): void {
		this.#become(view);
		this.asking = this.ended = false;
		this.entries += 1;
	}

	#become(view: SessionView): void {
		door.csrf = view.csrf ?? null;
		this.view = view;
	}

	/** What the page shows and what is typed into it stays: only the dialog comes up. */
	#refused(): void {
		this.ended = this.role === 'user' || this.role === 'admin';
		this.asking = true;
	}
}

/** An address as people read it: its first and last digits. */
export function shortened(name: string): string {
	return /^0x[0-9a-f]{40}$/i.test(name) ? `${name.slice(0, 6)}…${name.slice(-4)}` : name;
}

export const [getSession, setSession] = createContext<Session>();
