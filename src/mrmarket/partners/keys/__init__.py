"""Keys and addresses of many chains, derived from one seed.

`derivation` is the way in; `secret_bytes` holds seeds and keys, `name` says whose a key is, `chain` which
chains there are and why some are refused. Needs the extra `chains`.
"""
