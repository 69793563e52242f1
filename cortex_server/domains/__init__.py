"""The nouns: one module each. They take a transaction, know no Flask and send no signals."""
