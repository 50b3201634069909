"""The rules, as pure functions over plain state (law 1).

Nothing here does I/O, reads a clock, draws a random number, imports asyncio or a media library.
"""
