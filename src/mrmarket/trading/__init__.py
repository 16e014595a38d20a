"""The execution core. It trades; it never sees a user, a share or a balance of theirs."""
