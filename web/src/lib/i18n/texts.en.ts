import { en as enDesk } from './en';
import { enCampaigns } from './en.campaigns';
import { enMoney } from './en.money';

/** Every English text of the users' pages. */
export const texts = { ...enDesk, ...enMoney, ...enCampaigns };
