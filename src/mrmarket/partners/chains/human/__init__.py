"""HUMAN Protocol: escrows that pay, read from their events; and their contracts on a node of one's own."""
