"""Rewards received, their allocation, and the jobs that carry it out."""

from __future__ import annotations
