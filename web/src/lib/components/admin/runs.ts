import type { RewardRunView } from '#lib/api/client.ts';
import type { Column } from '#lib/components/ui/table.ts';
import type { AdminKey } from './texts.ts';

/** The columns of an allocation run, in tables and in exports. */
export function runColumns(t: (key: AdminKey) => string): Column<RewardRunView>[] {
	const amount = (
		id: 'amount' | 'allocated' | 'unallocated' | 'dust',
		title: AdminKey
	): Column<RewardRunView> => ({ id, title: t(title), value: (row) => row[id], order: 'decimal', end: true });
	return [
		{ id: 'start_ms', title: t('runs.window'), value: (row) => row.start_ms, order: 'number' },
		{ id: 'state', title: t('col.state'), value: (row) => row.state },
		{ id: 'pool', title: t('col.pool'), value: (row) => row.pool },
		{ id: 'campaign', title: t('runs.campaign'), value: (row) => row.campaign },
		{ id: 'asset', title: t('col.asset'), value: (row) => row.asset },
		amount('amount', 'col.amount'),
		amount('allocated', 'runs.allocated'),
		amount('unallocated', 'runs.unallocated'),
		amount('dust', 'runs.dust'),
		{ id: 'users', title: t('runs.users'), value: (row) => row.users, order: 'number', end: true },
		{ id: 'kind', title: t('runs.kind'), value: (row) => row.kind },
		{ id: 'inputs_hash', title: t('runs.inputs'), value: (row) => row.inputs_hash }
	];
}
