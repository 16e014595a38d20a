"""HuFi: its APIs, manifests, scores and rewards."""
