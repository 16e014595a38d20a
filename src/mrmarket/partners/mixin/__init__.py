"""Mixin Safe: keystore, outputs, transactions, memos, messages."""
