"""Cross-exchange market making: quotes on one venue, priced by what another would pay, hedged there."""
