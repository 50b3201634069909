"""The contract suite: what every media backend does, numbered, and checked against any of them.

    utd contract NAME
    pytest --pyargs utd_core.testing.contract --utd-backend NAME

`docs/how-to/test-a-plugin.md` tells how a plugin's own repository adopts it. The behaviours stand in `behaviours`,
the tests beside this file, each with the numbers it proves.
"""
