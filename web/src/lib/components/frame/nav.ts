import type { Role } from '#lib/session/session.svelte.ts';
import type { IconName } from '../ui/Icon.svelte';

/** A place of the app. */
export interface Place {
	id: 'home' | 'earn' | 'rewards' | 'history' | 'desk' | 'owner';
	href: string;
	icon: IconName;
}

const HOME: Place = { id: 'home', href: '/', icon: 'home' };
const EARN: Place = { id: 'earn', href: '/earn', icon: 'earn' };
const REWARDS: Place = { id: 'rewards', href: '/rewards', icon: 'rewards' };
const HISTORY: Place = { id: 'history', href: '/history', icon: 'history' };
const DESK: Place = { id: 'desk', href: '/desk', icon: 'desk' };
const OWNER: Place = { id: 'owner', href: '/admin', icon: 'owner' };

/** What the navigation offers each role. */
export const PLACES: Record<Role, readonly Place[]> = {
	visitor: [EARN, DESK],
	user: [HOME, EARN, REWARDS, HISTORY, DESK],
	admin: [OWNER, DESK, EARN]
};

/** Whether a path is that place or below it. */
export function isAt(place: Place, path: string): boolean {
	return place.href === '/' ? path === '/' : path === place.href || path.startsWith(`${place.href}/`);
}
