"""The server under load, beside a minimal server around GPTCache."""
