"""The documents of the question set: kinds of texts, vocabularies, and how one is drawn."""
