import { compare } from '#lib/format/decimal.ts';

/** One column of a table. */
export interface Column<Row> {
	id: string;
	title: string;
	/** The exact value: sorted by, exported, and shown where no cell is drawn for it. */
	value: (row: Row) => string | number | null;
	/** How values are put in order; `decimal` compares exact decimal strings. */
	order?: 'text' | 'number' | 'decimal';
	/** Figures stand at the end of their column. */
	end?: boolean;
	/** Left out where there is little room. */
	wide?: boolean;
	/** Takes the room that is left. */
	grow?: boolean;
}

/** The order of two rows by one column; rows without a value come last. */
export function byColumn<Row>(column: Column<Row>, descending: boolean): (left: Row, right: Row) => number {
	const direction = descending ? -1 : 1;
	return (left, right) => {
		const a = column.value(left);
		const b = column.value(right);
		if (a === null || b === null) return Number(a === null) - Number(b === null);
		if (column.order === 'decimal') return direction * compare(String(a), String(b));
		if (typeof a === 'number' && typeof b === 'number') return direction * (a - b);
		return direction * String(a).localeCompare(String(b));
	};
}
