"""Cache-augmented generation: a local model that has already read the documents.

Importing this package loads neither torch nor transformers; `semcache.cag.engine` does.
"""
