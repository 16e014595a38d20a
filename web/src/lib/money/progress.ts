import type { DepositView, Step, WithdrawalView } from '../api/client';

const DEPOSIT_ENDS: ReadonlySet<string> = new Set(['minted', 'expired', 'refunded', 'cancelled']);
const WITHDRAWAL_ENDS: ReadonlySet<string> = new Set(['confirmed', 'refused', 'cancelled']);

/** Whether nothing more will happen to it. */
export function depositEnded(deposit: DepositView): boolean {
	return DEPOSIT_ENDS.has(deposit.state);
}

/** Whether nothing more will happen to it. */
export function withdrawalEnded(withdrawal: WithdrawalView): boolean {
	return WITHDRAWAL_ENDS.has(withdrawal.state);
}

/** The step that it is at: the failed one, the present one, or the last that is done. */
export function presentStep(steps: readonly Step[]): Step | null {
	return (
		steps.find((step) => step.state === 'failed') ??
		steps.find((step) => step.state === 'now') ??
		steps.findLast((step) => step.state === 'done') ??
		null
	);
}
