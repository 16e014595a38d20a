import { createContext } from 'svelte';

import {
	get,
	post,
	query,
	type DecisionView,
	type DryRunResult,
	type RebalanceView,
	type SelectionView,
	type Thresholds
} from '#lib/api/client.ts';
import { keepFresh, Loaded } from '#lib/api/loaded.svelte.ts';

const BASE = '/admin/selection';
const POLL_MS = 2_000;
const SHOWN = 100;

/** Which strategy has the turn, and why; and the owner's thresholds. */
export class Selection {
	readonly view = new Loaded(() => get<SelectionView>(BASE));
	readonly decisions = new Loaded(() => get<DecisionView[]>(`${BASE}/decisions${query({ limit: SHOWN })}`));

	readonly rebalance = new Loaded(() => get<RebalanceView[]>(`${BASE}/rebalance`));

	/** Follow until the returned function is called. */
	run(): () => void {
		return keepFresh(POLL_MS, this.view, this.decisions, this.rebalance);
	}

	/** Other numbers from now on. Throws `ApiError`, as what follows. */
	async tune(thresholds: Thresholds): Promise<void> {
		this.view.put(await post<SelectionView>(`${BASE}/thresholds`, thresholds));
		await this.decisions.load();
	}

	/** Have a plan carried out, or drop it. */
	async decide(proposal: string, approve: boolean): Promise<void> {
		this.rebalance.put(await post<RebalanceView[]>(`${BASE}/rebalance`, { proposal, approve }));
	}

	async dryRun(thresholds: Thresholds): Promise<DryRunResult> {
		return post<DryRunResult>(`${BASE}/dry-run`, thresholds);
	}
}

export const [getSelection, setSelection] = createContext<Selection>();
