import { describe, expect, it } from 'vitest';

import { ApiError } from '#lib/api/client.ts';
import { Pages } from './pages.svelte';

interface Row {
	id: number;
	said: string;
}

/** Rows by falling id, as the API gives them; `fail` makes the next question fail. */
class Shelf {
	rows: Row[];
	fail = false;

	constructor(count: number) {
		this.rows = Array.from({ length: count }, (_, at) => ({ id: count - at, said: '' }));
	}

	readonly ask = async (oldest: Row | null, limit: number): Promise<Row[]> => {
		if (this.fail) throw new ApiError('unreachable', 'gone', true);
		// The oldest known row comes again, as with a time that several rows may share.
		return this.rows.filter((row) => oldest === null || row.id <= oldest.id).slice(0, limit);
	};
}

const ids = (pages: Pages<Row>): number[] | undefined => pages.rows?.map(({ id }) => id);

describe('Pages', () => {
	it('goes on where it stopped, without a row twice, until there is no more', async () => {
		const pages = new Pages(3, new Shelf(6).ask, (row) => row.id);
		await pages.load();
		expect([ids(pages), pages.more]).toEqual([[6, 5, 4], true]);
		await pages.older();
		expect([ids(pages), pages.more]).toEqual([[6, 5, 4, 3, 2], true]);
		await pages.older();
		expect([ids(pages), pages.more]).toEqual([[6, 5, 4, 3, 2, 1], false]);
	});

	it('renews the newest page and keeps what was fetched of older ones', async () => {
		const shelf = new Shelf(6);
		const pages = new Pages(3, shelf.ask, (row) => row.id);
		await pages.load();
		await pages.older();
		shelf.rows = shelf.rows.map((row) => ({ ...row, said: 'later' }));
		await pages.load();
		expect(ids(pages)).toEqual([6, 5, 4, 3, 2]);
		expect(pages.rows?.map(({ said }) => said)).toEqual(['later', 'later', 'later', '', '']);
		expect(pages.more).toBe(true);
	});

	it('starts anew where the newest page no longer meets what is known', async () => {
		const shelf = new Shelf(6);
		const pages = new Pages(3, shelf.ask, (row) => row.id);
		await pages.load();
		shelf.rows = new Shelf(12).rows;
		await pages.load();
		expect([ids(pages), pages.more]).toEqual([[12, 11, 10], true]);
	});

	it('keeps its rows and says so where a question fails', async () => {
		const shelf = new Shelf(2);
		const pages = new Pages(3, shelf.ask, (row) => row.id);
		await pages.load();
		shelf.fail = true;
		await pages.older();
		expect([ids(pages), pages.problem?.code, pages.stale, pages.busy]).toEqual([
			[2, 1],
			'unreachable',
			true,
			false
		]);
		shelf.fail = false;
		await pages.again();
		expect([ids(pages), pages.stale]).toEqual([[2, 1], false]);
	});
});
