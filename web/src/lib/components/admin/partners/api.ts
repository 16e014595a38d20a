import {
	get,
	post,
	type CampaignBoard,
	type CampaignPageView,
	type OwnerNotes,
	type PartnersView,
	type RewardTraceView,
	type SweepsView
} from '#lib/api/client.ts';

/** The owner's word on a campaign. */
export type Wish = OwnerNotes['wish'];

/** A segment of a path. */
const part = encodeURIComponent;

/** The owner's requests about campaigns and partners. All throw `ApiError`. */
export const partners = {
	board: () => get<CampaignBoard>('/campaigns'),
	now: () => get<PartnersView>('/admin/partners'),
	campaign: (id: string) => get<CampaignPageView>(`/admin/campaigns/${part(id)}`),
	wish: (id: string, wish: Wish) => post<CampaignPageView>(`/admin/campaigns/${part(id)}/${wish}`),
	sweep: () => post<SweepsView>('/admin/partners/sweep', { dry_run: false }),
	way: (reward: string) => get<RewardTraceView>(`/admin/rewards/${part(reward)}/trace`)
};
