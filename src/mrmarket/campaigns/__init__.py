"""Campaigns: from a partner's offer to execution goals, and from its payouts to rewards."""
