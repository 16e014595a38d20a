"""The Angel as a process: its venues, its sources, its life, and what people ask of it."""
