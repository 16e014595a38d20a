import { get, type CampaignBoard, type CampaignPageView, type RewardTraceView } from './client';

/** A segment of a path. */
const part = encodeURIComponent;

/** Campaigns and rewards' ways, as their readers may ask for them. All throw `ApiError`. */
export const campaigns = {
	board: () => get<CampaignBoard>('/campaigns'),
	one: (id: string) => get<CampaignPageView>(`/campaigns/${part(id)}`),
	ownWay: (allocation: string) => get<RewardTraceView>(`/me/rewards/${part(allocation)}/trace`)
};
