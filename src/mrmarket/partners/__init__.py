"""Partners: chains, HuFi, Mixin, market data. Each implements ports that other rooms own."""
