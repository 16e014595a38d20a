import type { texts as english } from './texts.en';
import { zh as zhDesk } from './zh';
import { zhCampaigns } from './zh.campaigns';
import { zhMoney } from './zh.money';

/** Every Chinese text of the users' pages. */
export const texts: Record<keyof typeof english, string> = { ...zhDesk, ...zhMoney, ...zhCampaigns };
