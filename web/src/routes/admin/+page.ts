import { redirect } from '@sveltejs/kit';

/** The owner's first question is whether the money adds up. */
export function load(): never {
	redirect(307, '/admin/money');
}
