"""Commands of `semcache` that have a module of their own.

Each module has `add(commands)`, which adds its options, and `run(args, config) -> int`, which gives
the exit code and raises SemcacheError.
"""
