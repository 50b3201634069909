"""How the tables came to their shape, one step after the other, up and down; run by `schema.run_migrations`.

A new step is a file in `versions/` beside the last one, which it names as its `down_revision`; `tables.SCHEMA` names
the newest.
"""
